/**
 * A network of one's own for a test: this machine with an address, a LAN behind one cable, and on its far side what stands
 * for the internet. Nothing of it leads anywhere else. For a process that has a network and a mount namespace of its own.
 */

import { type ChildProcess, execFileSync, spawn } from "node:child_process";

/** This machine's own. */
export const OWN = { four: "198.51.100.7", six: "2001:db8:7::7" } as const;
/** Neighbours, and what a cloud answers secrets at. */
export const LAN = ["198.51.100.1", "198.51.100.9", "169.254.169.254", "10.9.9.9", "2001:db8:7::9"] as const;
/** Public ones. */
export const INTERNET = { four: "93.184.216.34", six: "2a00:1::34" } as const;

const COUNTERS = `table inet seen {
  counter internet {}
  counter others {}
  chain input {
    type filter hook input priority -300;
    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit, mld2-listener-report } accept
    ip daddr ${INTERNET.four} counter name internet accept
    ip6 daddr ${INTERNET.six} counter name internet accept
    counter name others
  }
}`;

export class WalledStreet implements AsyncDisposable {
  readonly #far: ChildProcess;

  static open(): WalledStreet {
    // Closed to ordinary users on some machines; udev opens it everywhere else.
    run("mount", "-t", "tmpfs", "tmpfs", "/dev/net");
    run("mknod", "-m", "666", "/dev/net/tun", "c", "10", "200");
    const far = spawn("unshare", ["--net", "cat"], { stdio: ["pipe", "ignore", "inherit"] });
    const street = new WalledStreet(far);
    street.#lay();
    return street;
  }

  private constructor(far: ChildProcess) {
    this.#far = far;
  }

  /** Runs something on the far side. */
  far(...words: readonly string[]): string {
    return run("nsenter", "--target", String(this.#far.pid), "--net", "--", ...words);
  }

  /** Answers on one port of the internet with a line. */
  serve(port: number): ChildProcess {
    const code = `for (const host of ["${INTERNET.four}", "${INTERNET.six}"]) require("net").createServer((s) => s.on("error", () => {}).end("hello\\n")).listen(${port}, host)`;
    const words = ["--target", String(this.#far.pid), "--net", "--", process.execPath, "--eval", code];
    return spawn("nsenter", words, { stdio: "ignore" });
  }

  /** Packets that have come to the far side since it was asked last. */
  seen(): { readonly internet: number; readonly others: number } {
    const text = this.far("nft", "reset", "counters", "table", "inet", "seen");
    const count = (name: string) => Number(new RegExp(`counter ${name} \\{\\s*packets (\\d+)`, "u").exec(text)?.[1]);
    return { internet: count("internet"), others: count("others") };
  }

  #lay(): void {
    const pid = String(this.#far.pid);
    run("ip", "link", "set", "lo", "up");
    run("ip", "link", "add", "up0", "type", "veth", "peer", "name", "far0");
    this.#moved(pid);
    this.far("ip", "link", "set", "lo", "up");
    const addresses = [...LAN, ...Object.values(INTERNET)];
    for (const address of addresses)
      this.far("ip", "addr", "add", `${address}/${maskOf(address)}`, "dev", "far0", "nodad");
    this.far("ip", "link", "set", "far0", "up");
    execFileSync("nsenter", ["--target", pid, "--net", "--", "nft", "-f", "-"], { input: COUNTERS });
    run("ip", "addr", "add", `${OWN.four}/24`, "dev", "up0");
    run("ip", "addr", "add", `${OWN.six}/64`, "dev", "up0", "nodad");
    run("ip", "link", "set", "up0", "up");
    run("ip", "route", "add", "default", "via", "198.51.100.1");
    run("ip", "-6", "route", "add", "default", "via", "2001:db8:7::9");
  }

  /** The far side's namespace comes into being a moment after its process: tried until it takes the cable. */
  #moved(pid: string): void {
    const own = run("readlink", "/proc/self/ns/net");
    for (let turn = 0; run("readlink", `/proc/${pid}/ns/net`) === own; turn++) {
      if (turn > 1_000) throw new Error("no namespace came about");
    }
    run("ip", "link", "set", "far0", "netns", pid);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#far.kill("SIGKILL");
  }
}

function maskOf(address: string): number {
  if (address.startsWith("198.")) return 24;
  if (address.startsWith("2001:")) return 64;
  return address.includes(":") ? 128 : 32;
}

function run(file: string, ...words: readonly string[]): string {
  return execFileSync(file, words, { encoding: "utf8" });
}
