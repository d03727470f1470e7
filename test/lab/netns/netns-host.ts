/**
 * One machine of a lab: a namespace with `lo` and `eth0`, whose other end is a port of the switch.
 *
 * A pulled cable is the port going down, not eth0: the addresses stay, as they do in life.
 */

import type { Cable, Shape } from "./cable.ts";
import { ip, nft } from "./ip.ts";
import { NetnsProcess, type SpawnOptions } from "./netns-process.ts";

export interface NetnsHostOptions extends Shape {
  /** `[4]` is a kernel without IPv6. @default [6, 4] */
  readonly families?: readonly (4 | 6)[];
}

/** What a host does with packets that arrive. */
export interface Rule {
  /** `drop` is silence, `reject` is a refusal that the sender notices at once. */
  readonly verdict: "drop" | "reject";
  /** @default both */
  readonly family?: 4 | 6;
  /** Only from this address or network. */
  readonly from?: string;
  /** Only to this TCP port. */
  readonly port?: number;
}

/** With their prefix lengths. */
export interface Addresses {
  readonly ip4?: string;
  readonly ip6?: string;
}

/** What addresses a network has to give. */
export interface AddressPlan {
  /** Those that no host has had yet. */
  readonly fresh: () => Addresses;
  /** Where everything goes that is not in the network, without prefix lengths. @default nowhere */
  readonly gateway?: Addresses;
}

export interface NetnsHostDeps {
  readonly namespace: string;
  readonly cable: Cable;
  readonly families: readonly (4 | 6)[];
  readonly plan: AddressPlan;
}

export class NetnsHost {
  readonly #deps: NetnsHostDeps;
  readonly #processes: NetnsProcess[] = [];
  #addresses: Addresses | undefined;

  constructor(deps: NetnsHostDeps) {
    this.#deps = deps;
  }

  get namespace(): string {
    return this.#deps.namespace;
  }

  get ip4(): string {
    return this.#plain("ip4");
  }

  get ip6(): string {
    return this.#plain("ip6");
  }

  /** Starts a program here. It dies with the lab. */
  spawn(argv: readonly [string, ...string[]], options?: SpawnOptions): NetnsProcess {
    const started = new NetnsProcess(this.namespace, argv, options);
    this.#processes.push(started);
    return started;
  }

  /** Runs a program here to its end. @returns its stdout @throws with its stderr when it fails */
  async run(argv: readonly [string, ...string[]], signal: AbortSignal): Promise<string> {
    await using program = this.spawn(argv);
    const onAbort = () => program.kill("SIGKILL");
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      const code = await program.ended;
      signal.throwIfAborted();
      if (code !== 0) throw new Error(`${argv.join(" ")}: ended with ${code}\n${program.stderr}`);
      return program.stdout;
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }

  /** Delay, loss and rate of its cable from now on; `{}` takes them away. */
  async shape(shape: Shape): Promise<void> {
    await this.#deps.cable.shape(shape);
  }

  /** From now on packets that arrive are held against this rule too. Its own loopback never is. */
  async filter({ verdict, family, from, port }: Rule): Promise<void> {
    const match = [
      'iifname "eth0"',
      family === undefined ? "" : `meta nfproto ipv${family}`,
      from === undefined ? "" : `${from.includes(":") ? "ip6" : "ip"} saddr ${from}`,
      port === undefined ? "" : `tcp dport ${port}`,
    ];
    // Neighbour discovery is IPv6 too: without it a drop would look like a refusal by the sender's kernel.
    await nft(
      this.namespace,
      `add table inet lab
add chain inet lab input { type filter hook input priority 0; }
add rule inet lab input ip6 nexthdr icmpv6 icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
add rule inet lab input ${match.join(" ")} ${verdict}
`,
    );
  }

  /** Takes all rules away. */
  async unfilter(): Promise<void> {
    await nft(this.namespace, "add table inet lab\ndelete table inet lab\n");
  }

  /** Pulls the cable. */
  async unplug(): Promise<void> {
    await this.#deps.cable.set("down");
  }

  async plugIn(): Promise<void> {
    await this.#deps.cable.set("up");
  }

  /** Gives it addresses that nobody had before, in place of those that it has. */
  async readdress(): Promise<void> {
    const { families, plan } = this.#deps;
    const fresh = plan.fresh();
    for (const family of families) {
      const key = family === 4 ? "ip4" : "ip6";
      // The old one first: with the oldest IPv4 address of a network the kernel takes the later ones away.
      const old = this.#addresses?.[key];
      if (old !== undefined) await ip("-n", this.namespace, "address", "delete", old, "dev", "eth0");
      const address = fresh[key];
      if (address === undefined) continue;
      // nodad: no second of waiting whether somebody else has it.
      await ip("-n", this.namespace, "address", "add", address, "dev", "eth0", ...(family === 6 ? ["nodad"] : []));
      const via = plan.gateway?.[key];
      if (via !== undefined) await ip("-n", this.namespace, `-${family}`, "route", "replace", "default", "via", via);
    }
    this.#addresses = fresh;
  }

  /** Every address of `network` is this host's own from now on; `lab.routeTo` sends the others there. */
  async own(network: string): Promise<void> {
    await ip("-n", this.namespace, "route", "add", "local", network, "dev", "lo");
  }

  /** Ends its programs, and the one that its cable may have. */
  async stop(): Promise<void> {
    await Promise.all(this.#processes.map((program) => program[Symbol.asyncDispose]()));
    await this.#deps.cable.close();
  }

  #plain(key: keyof Addresses): string {
    const [address] = this.#addresses?.[key]?.split("/") ?? [];
    if (address === undefined || !this.#deps.families.includes(key === "ip4" ? 4 : 6)) {
      throw new Error(`${this.namespace} has no ${key}`);
    }
    return address;
  }
}
