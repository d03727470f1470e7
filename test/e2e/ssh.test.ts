/** Stock OpenSSH and its kin, and `p2prc cp`, against real sandboxes: two machines on this one, and bubblewrap. */

import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { after, before, describe, test } from "node:test";
import type { Box } from "../../src/sandbox/index.ts";
import { bubblewrapSkip } from "../support/bubblewrap-world.ts";
import { Machines } from "../support/machines.ts";

const missing = ["ssh", "scp", "sftp", "rsync", "ssh-agent"].filter((tool) => spawnSync("which", [tool]).status !== 0);
const skip = bubblewrapSkip() || (missing.length > 0 && `not installed: ${missing.join(", ")}`);
/** There in every sandbox, whatever its image. */
const NODE = "/.p2prc/lib/ld.so --library-path /.p2prc/lib /.p2prc/bin/node";
const BYTES = Buffer.from(Uint8Array.from({ length: 300_000 }, (_, at) => (at * 7) % 256));

describe("ssh into a sandbox", { skip, timeout: 240_000 }, () => {
  let lab: SshLab;
  before(async () => {
    lab = await SshLab.open();
  });
  after(async () => await lab[Symbol.asyncDispose]());

  test("passes bytes, both outputs and the exit code", async () => {
    const { code, out, err } = await lab.ssh(["box.p2prc", "cat; echo said >&2; exit 42"], BYTES);
    assert.deepEqual([code, err.toString().trim()], [42, "said"]);
    assert.deepEqual(out, BYTES);
  });

  test("says what a signal ended, as ssh does", async () => {
    assert.equal((await lab.ssh(["box.p2prc", "kill -TERM $$"])).code, 255);
    assert.equal((await lab.ssh(["box.p2prc", "sh -c 'kill -KILL $$'; exit $?"])).code, 137);
  });

  test("gives a terminal where one is asked for", async () => {
    assert.match((await lab.ssh(["-tt", "box.p2prc", "tty; exit 3"])).out.toString(), /^\/dev\/pts\/\d+/);
    assert.match((await lab.ssh(["-T", "box.p2prc", "tty"])).out.toString(), /not a tty/);
  });

  test("knows it by its name, with its node, and by its id", async () => {
    for (const host of ["box.p2prc", "box.attic.p2prc", `${lab.box.sandbox.id}.p2prc`])
      assert.equal((await lab.ssh(["-S", "none", host, "exit 5"])).code, 5, host);
  });

  test("refuses a sandbox that shows another key", async () => {
    const wrong = join(lab.folder, "wrong_hosts");
    const known = await readFile(join(lab.home, "ssh_known_hosts"), "utf8");
    const other = spawnSync("ssh-keygen", ["-y", "-f", join(lab.home, "ssh_key")], { encoding: "utf8" }).stdout.trim();
    await writeFile(wrong, `${known.split(" ")[0]} ${other}\n`);
    const { code, err } = await lab.ssh(["-S", "none", "-o", `UserKnownHostsFile=${wrong}`, "box.p2prc", "true"]);
    assert.equal(code, 255);
    assert.match(err.toString(), /HOST IDENTIFICATION HAS CHANGED|verification failed/);
  });

  test("refuses another's key", async () => {
    const key = join(lab.folder, "another");
    spawnSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", key]);
    const config = (await readFile(join(lab.home, "ssh_config"), "utf8")).replaceAll(
      /IdentityFile .*/g,
      `IdentityFile ${key}`,
    );
    await writeFile(join(lab.folder, "config"), config);
    const { code, err } = await lab.run("ssh", ["-F", join(lab.folder, "config"), "-S", "none", "box.p2prc", "true"]);
    assert.equal(code, 255);
    assert.match(err.toString(), /Permission denied/);
  });

  test("copies with scp, sftp and rsync", async () => {
    const { folder, config } = lab;
    await writeFile(join(folder, "bytes"), BYTES);
    await mkdir(join(folder, "tree/deep"), { recursive: true });
    await writeFile(join(folder, "tree/deep/file"), BYTES);
    const done = async (command: string, args: readonly string[], input = "") => {
      const { code, err } = await lab.run(command, args, { input });
      assert.equal(code, 0, `${command}: ${err.toString()}`);
    };
    await done("scp", ["-F", config, "-q", join(folder, "bytes"), "box.p2prc:by-scp"]);
    await done("scp", ["-F", config, "-q", "box.p2prc:by-scp", join(folder, "back-scp")]);
    await done(
      "sftp",
      ["-F", config, "-b", "-", "box.p2prc"],
      `put ${join(folder, "bytes")} by-sftp\nget by-sftp ${join(folder, "back-sftp")}\n`,
    );
    await done("rsync", ["-a", "-e", `ssh -F ${config}`, `${join(folder, "tree")}/`, "box.p2prc:by-rsync/"]);
    await done("rsync", ["-a", "-e", `ssh -F ${config}`, "box.p2prc:by-rsync/deep/file", join(folder, "back-rsync")]);
    for (const back of ["back-scp", "back-sftp", "back-rsync"])
      assert.deepEqual(await readFile(join(folder, back)), BYTES, back);
  });

  test("shares one connection, which can be ended", async () => {
    await lab.ssh(["box.p2prc", "true"]);
    assert.match((await lab.ssh(["-O", "check", "box.p2prc"])).err.toString(), /Master running/);
    assert.equal((await lab.ssh(["-O", "exit", "box.p2prc"])).code, 0);
  });

  test("keeps the person's agent here", async () => {
    const agent = spawnSync("ssh-agent", ["-s"], { encoding: "utf8" }).stdout;
    const socket = /SSH_AUTH_SOCK=([^;]+)/.exec(agent)?.[1] ?? "";
    try {
      const args = ["-A", "-S", "none", "box.p2prc", "echo agent: $SSH_AUTH_SOCK"];
      const { out } = await lab.ssh(args, undefined, { SSH_AUTH_SOCK: socket });
      assert.equal(out.toString().trim(), "agent:");
    } finally {
      process.kill(Number(/SSH_AGENT_PID=(\d+)/.exec(agent)?.[1]));
    }
  });

  test("forwards with -L, -R and -D, and -L leads to the loopback of the sandbox alone", async () => {
    await using echo = await Echo.open();
    const [inside, local, socks] = [41_411, await freePort(), await freePort()];
    const forwards = [
      "-R",
      `127.0.0.1:${inside}:127.0.0.1:${echo.port}`,
      "-L",
      `${local}:127.0.0.1:${inside}`,
      "-D",
      `${socks}`,
    ];
    const toHost = await freePort();
    await using _held = await lab.hold([...forwards, "-L", `${toHost}:127.0.0.1:${echo.port}`, "box.p2prc"]);
    assert.equal(await said(connect(local, "127.0.0.1")), "hello");
    assert.equal(await said(await overSocks(socks, inside)), "hello");
    assert.equal(await said(connect(toHost, "127.0.0.1")), "", "the host's own loopback is out of reach");
  });

  test("jumps over it with -J", async () => {
    const inside = 41_412;
    await using _held = await lab.hold(["-R", `127.0.0.1:${inside}:127.0.0.1:${lab.box.sshPort}`, "box.p2prc"]);
    const same = [
      "-o",
      `HostKeyAlias=${lab.box.sandbox.id}.p2prc`,
      "-o",
      `UserKnownHostsFile=${join(lab.home, "ssh_known_hosts")}`,
    ];
    const key = ["-i", join(lab.home, "ssh_key"), "-p", String(inside)];
    const { user } = lab.box.sandbox;
    const { code, err } = await lab.ssh([...same, ...key, "-J", "box.p2prc", `${user}@127.0.0.1`, "exit 9"]);
    assert.equal(code, 9, err.toString());
  });

  test("lets VS Code in: an installer on stdin, a server inside, a way to it with -D", async () => {
    const socks = await freePort();
    const ssh = lab.start("ssh", ["-F", lab.config, "-S", "none", "-T", "-D", String(socks), "box.p2prc", "bash"]);
    ssh.stdin?.write(`${INSTALLER}\n`);
    let text = "";
    const port = await new Promise<number>((resolve, reject) => {
      ssh.stdout?.on("data", (chunk: Buffer) => {
        text += chunk.toString();
        const [, found] = /listeningOn==(\d+)==/.exec(text) ?? [];
        if (found !== undefined && text.includes("exitCode==0==")) resolve(Number(found));
      });
      ssh.once("close", () => reject(new Error(`it ended: ${text}`)));
    });
    assert.equal(await said(await overSocks(socks, port)), "hello from the server");
    ssh.kill();
    await once(ssh, "exit");
  });

  test("opens a port of it here", async () => {
    const inside = 41_413;
    const server = `require("net").createServer((s) => s.end("from inside")).listen(${inside}, "127.0.0.1", () => console.log("up"))`;
    const ssh = lab.start("ssh", ["-F", lab.config, "-S", "none", "box.p2prc", `exec ${NODE} -e '${server}'`]);
    if (ssh.stdout !== null) await once(ssh.stdout, "data");
    const { exit, lines } = await lab.p2prc("port", "box", String(inside), "--json");
    const { local } = JSON.parse(lines.at(-1) ?? "") as { local: number };
    assert.deepEqual([exit, await said(connect(local, "127.0.0.1"))], [0, "from inside"]);
    assert.equal((await lab.p2prc("port", "rm", "box", String(inside))).exit, 0);
    ssh.kill();
    await once(ssh, "exit");
  });

  test("is what `p2prc ssh` does, with its exit code", async () => {
    assert.equal((await lab.p2prc("ssh", "box", "--", "exit 6")).exit, 6);
  });

  test("copies with p2prc cp, and refuses what would leave its folder", async () => {
    const source = join(lab.folder, "cp");
    await mkdir(join(source, "deep"), { recursive: true });
    await writeFile(join(source, "deep/bytes"), BYTES);
    await symlink("deep/bytes", join(source, "link"));
    for (const [from, to] of [
      [source, "box:there"],
      ["box:there", join(lab.folder, "cp-back")],
    ] as const) {
      const { exit, lines } = await lab.p2prc("cp", from, to);
      assert.equal(exit, 0, lines.join("\n"));
    }
    assert.deepEqual(await readFile(join(lab.folder, "cp-back/link")), BYTES);
    await lab.ssh(["box.p2prc", "ln -s /etc/passwd there/evil"]);
    const { exit, lines } = await lab.p2prc("cp", "box:there", join(lab.folder, "cp-evil"));
    assert.equal(exit, 2);
    assert.match(lines.join("\n"), /evil.*leads out/);
  });

  test("starts the daemon where none runs", async () => {
    await lab.ssh(["-O", "exit", "box.p2prc"]);
    assert.equal((await lab.p2prc("stop")).exit, 0);
    const { code, out, err } = await lab.ssh(["box.p2prc", "cat; exit 4"], BYTES);
    assert.equal(code, 4, err.toString());
    assert.deepEqual(out, BYTES);
    assert.equal((await lab.ssh(["-O", "exit", "box.p2prc"])).code, 0);
    assert.equal((await lab.ssh(["box.p2prc", "exit 8"])).code, 8); // now by the door
  });
});

/** As VS Code's: finds out about the system, makes its folder, leaves a server behind, says where it is. */
const INSTALLER = `
set -e
echo "uuid==start=="
uname -s; uname -m
mkdir -p "$HOME/.vscode-server"
cat > "$HOME/.vscode-server/server.js" <<'END'
const server = require("net").createServer((socket) => socket.end("hello from the server"));
server.listen(0, "127.0.0.1", () => console.log("port=" + server.address().port));
END
nohup ${NODE} "$HOME/.vscode-server/server.js" > "$HOME/.vscode-server/log" 2>&1 < /dev/null &
while ! grep -q port= "$HOME/.vscode-server/log"; do sleep 0.05; done
echo "listeningOn==$(sed -n 's/port=//p' "$HOME/.vscode-server/log")=="
echo "exitCode==0=="
`;

interface Ended {
  readonly code: number;
  readonly out: Buffer;
  readonly err: Buffer;
}

interface Given {
  readonly input?: Uint8Array | string;
  readonly environment?: Readonly<Record<string, string>>;
}

/** barn has a sandbox on attic. */
class SshLab implements AsyncDisposable {
  readonly folder: string;
  readonly #machines: Machines;
  readonly box: Box;

  static async open(): Promise<SshLab> {
    const machines = await Machines.open();
    try {
      await machines.run("attic", ["serve", "--detach", "--name", "attic"]);
      const invite = await machines.run("attic", ["invite", "--own", "--json"]);
      const { link } = JSON.parse(invite.lines.at(-1) ?? "") as { link: string };
      await machines.run("barn", ["join", link]);
      const touched = await machines.run("barn", ["touch", "attic", "--name", "box", "--json"]);
      const box = JSON.parse(touched.lines.at(-1) ?? "") as Box;
      assert.equal(box.sandbox.sshProblem, undefined);
      return new SshLab(machines, { box, folder: await mkdtemp(join(tmpdir(), "p2prc-ssh-e2e-")) });
    } catch (error) {
      await machines[Symbol.asyncDispose]();
      throw error;
    }
  }

  private constructor(machines: Machines, { box, folder }: { readonly box: Box; readonly folder: string }) {
    this.#machines = machines;
    this.box = box;
    this.folder = folder;
  }

  get home(): string {
    return this.#machines.homeOf("barn");
  }

  get config(): string {
    return join(this.home, "ssh_config");
  }

  async p2prc(...words: string[]) {
    return await this.#machines.run("barn", words);
  }

  ssh(args: readonly string[], input?: Uint8Array, environment?: Given["environment"]): Promise<Ended> {
    return this.run("ssh", ["-F", this.config, ...args], {
      ...(input === undefined ? {} : { input }),
      ...(environment === undefined ? {} : { environment }),
    });
  }

  async run(command: string, args: readonly string[], { input = "", environment = {} }: Given = {}): Promise<Ended> {
    const child = this.start(command, args, environment);
    child.stdin?.on("error", () => undefined).end(input);
    const [out, err, [code]] = await Promise.all([
      child.stdout === null ? Buffer.alloc(0) : buffer(child.stdout),
      child.stderr === null ? Buffer.alloc(0) : buffer(child.stderr),
      once(child, "exit") as Promise<[number]>,
    ]);
    return { code, out, err };
  }

  /** A daemon that it starts must find attic, and none of the person's own. */
  start(command: string, args: readonly string[], environment: Readonly<Record<string, string>> = {}): ChildProcess {
    const own = { HOME: this.folder, P2PRC_ALLOW_NETWORKS: "127.0.0.0/8", P2PRC_LAN: "no", P2PRC_LISTEN: "127.0.0.1" };
    const env = { PATH: process.env["PATH"] ?? "", P2PRC_PORT: "0", ...own, ...environment };
    return spawn(command, [...args], { env, stdio: "pipe" });
  }

  /** A connection of its own that stays, with its forwards. */
  async hold(args: readonly string[]): Promise<AsyncDisposable> {
    const child = this.start("ssh", [
      "-F",
      this.config,
      "-S",
      "none",
      "-o",
      "ExitOnForwardFailure=yes",
      ...args,
      "echo up; cat",
    ]);
    const up = child.stdout === null ? undefined : once(child.stdout, "data");
    await Promise.race([up, once(child, "exit").then(() => assert.fail("ssh ended"))]);
    return {
      [Symbol.asyncDispose]: async () => {
        child.kill();
        await once(child, "exit");
      },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.ssh(["-O", "exit", "box.p2prc"]);
    await this.p2prc("rm", "box");
    await this.#machines[Symbol.asyncDispose]();
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** Says hello to whoever connects. */
class Echo implements AsyncDisposable {
  readonly port: number;
  readonly #server: Server;

  static async open(): Promise<Echo> {
    const server = createServer((socket) => socket.on("error", () => undefined).end("hello"));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return new Echo(server);
  }

  private constructor(server: Server) {
    this.#server = server;
    this.port = (server.address() as AddressInfo).port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    await once(this.#server, "close");
  }
}

async function freePort(): Promise<number> {
  await using echo = await Echo.open();
  return echo.port;
}

async function said(socket: Socket): Promise<string> {
  const chunks: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => chunks.push(chunk)).on("error", () => undefined);
  socket.resume();
  await once(socket, "close");
  return Buffer.concat(chunks).toString();
}

/** RFC 1928, no authentication, to 127.0.0.1 at the far end. */
async function overSocks(port: number, to: number): Promise<Socket> {
  const socket = connect(port, "127.0.0.1");
  await once(socket, "connect");
  socket.write(Buffer.from([5, 1, 0]));
  assert.deepEqual((await once(socket, "data"))[0], Buffer.from([5, 0]));
  socket.write(Buffer.from([5, 1, 0, 1, 127, 0, 0, 1, to >> 8, to & 255]));
  const [answer] = (await once(socket, "data")) as [Buffer];
  assert.equal(answer[1], 0, "the proxy could not connect");
  socket.pause();
  if (answer.length > 10) socket.unshift(answer.subarray(10));
  return socket;
}
