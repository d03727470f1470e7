import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { promisify } from "node:util";
import { ResidentLab } from "../../../test/support/resident-lab.ts";
import { hostKeyFrom } from "./ssh-host-key.ts";
import { splice } from "./splice.ts";

const { signal } = new AbortController();
const SSHD = "/usr/sbin/sshd";
const missing = ["/usr/bin/ssh", SSHD].filter((path) => !existsSync(path));
const skip = missing.length === 0 ? false : `not installed: ${missing.join(", ")}`;
const SEED = Buffer.alloc(32, 7);
const run = promisify(execFile);

describe("hostKeyFrom", () => {
  test("writes what ssh-keygen reads, and the same public half", { skip }, async () => {
    await using folder = await Folder.open();
    const { privateFile, publicLine } = hostKeyFrom(SEED);
    const path = await folder.write("key", privateFile);
    const read = execFileSync("ssh-keygen", ["-y", "-f", path], { encoding: "utf8" });
    assert.equal(read.split(" ").slice(0, 2).join(" ").trim(), publicLine);
  });

  test("refuses what is not 32 bytes", () => {
    assert.throws(() => hostKeyFrom(Buffer.alloc(31)), RangeError);
  });
});

describe("ssh through a resident", { skip }, () => {
  test("logs in with the guest's key alone, pinned to the host key, and passes exit codes on", async () => {
    await using lab = await SshLab.open();
    const { stdout } = await lab.ssh("echo", "hello");
    assert.equal(stdout, "hello\n");
    await assert.rejects(lab.ssh("exit", "42"), { code: 42 });
  });

  test("gives a terminal", async () => {
    await using lab = await SshLab.open();
    const { stdout } = await lab.sshWith(["-tt"], "tty");
    assert.match(stdout, /^\/dev\/pts\/\d+/u);
  });

  test("moves files by sftp, without a program of the image", async () => {
    await using lab = await SshLab.open();
    const from = await lab.folder.write("from", "content\n");
    await run("scp", [...lab.options, from, `${lab.user}@box:${lab.folder.path}/to`]);
    assert.equal(await readFile(join(lab.folder.path, "to"), "utf8"), "content\n");
  });

  test("refuses another key", async () => {
    await using lab = await SshLab.open();
    const other = await lab.folder.key("other");
    const asOther = run("ssh", [...lab.optionsFor(other.path), `${lab.user}@box`, "true"]);
    await assert.rejects(asOther, { stderr: /Permission denied \(publickey\)/u });
  });

  test("does not forward the agent", async () => {
    await using lab = await SshLab.open();
    const { stdout } = await lab.sshWith(["-A"], "env");
    assert.doesNotMatch(stdout, /SSH_AUTH_SOCK/u);
  });
});

test("ssh is refused in words before it is set up, and with keys that are none", async () => {
  await using lab = await ResidentLab.open();
  await assert.rejects(lab.inside.ssh(signal), { code: "not-supported", message: /not set up/u });
  const setup = { hostSeed: "AAAA", authorizedKeys: [] };
  await assert.rejects(lab.inside.setUpSsh(setup, signal), { code: "bad-argument" });
});

class Folder implements AsyncDisposable {
  readonly path: string;

  static async open(): Promise<Folder> {
    return new Folder(await mkdtemp(join(tmpdir(), "p2prc-ssh-")));
  }

  private constructor(path: string) {
    this.path = path;
  }

  async write(name: string, content: string): Promise<string> {
    const path = join(this.path, name);
    await writeFile(path, content);
    await chmod(path, 0o600);
    return path;
  }

  async key(name: string): Promise<{ readonly path: string; readonly line: string }> {
    const path = join(this.path, name);
    execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", path]);
    const [type = "", blob = ""] = (await readFile(`${path}.pub`, "utf8")).split(" ");
    return { path, line: `${type} ${blob}` };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return rm(this.path, { recursive: true, force: true });
  }
}

/** A loopback port in front of `ssh:`, as the guest's daemon has it. */
class SshLab implements AsyncDisposable {
  readonly folder: Folder;
  readonly user: string;
  readonly options: readonly string[];
  readonly #lab: ResidentLab;
  readonly #server: Server;

  static async open(): Promise<SshLab> {
    const folder = await Folder.open();
    const lab = await ResidentLab.open("socket", ["--sshd", SSHD]);
    const key = await folder.key("id");
    const setup = { hostSeed: SEED.toString("base64"), authorizedKeys: [key.line] };
    const { hostKey, user } = await lab.inside.setUpSsh(setup, signal);
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      void lab.inside.ssh(signal).then((stream) => splice(socket, stream));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    const known = await folder.write("known_hosts", `box ${hostKey}\n`);
    return new SshLab({ folder, lab, server, user, port, known });
  }

  private constructor(parts: {
    readonly folder: Folder;
    readonly lab: ResidentLab;
    readonly server: Server;
    readonly user: string;
    readonly port: number;
    readonly known: string;
  }) {
    this.folder = parts.folder;
    this.user = parts.user;
    this.#lab = parts.lab;
    this.#server = parts.server;
    const settings = [
      "HostName=127.0.0.1",
      `Port=${parts.port}`,
      "HostKeyAlias=box",
      `UserKnownHostsFile=${parts.known}`,
      "StrictHostKeyChecking=yes",
      "IdentitiesOnly=yes",
      "BatchMode=yes",
    ];
    this.options = ["-F", "/dev/null", ...settings.flatMap((setting) => ["-o", setting])];
    this.options = this.optionsFor(join(parts.folder.path, "id"));
  }

  optionsFor(key: string): readonly string[] {
    const without = this.options.filter((option, at) => option !== "-i" && this.options[at - 1] !== "-i");
    return [...without, "-i", key];
  }

  ssh(...words: readonly string[]): Promise<{ stdout: string; stderr: string }> {
    return this.sshWith([], ...words);
  }

  sshWith(flags: readonly string[], ...words: readonly string[]): Promise<{ stdout: string; stderr: string }> {
    return run("ssh", [...this.options, ...flags, `${this.user}@box`, ...words]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    await this.#lab[Symbol.asyncDispose]();
    await this.folder[Symbol.asyncDispose]();
  }
}
