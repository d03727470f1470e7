/** An `sshd` and an `ssh -L` of OpenSSH on this machine's loopback, with keys and settings of their own. */

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { accessSync, constants, mkdirSync } from "node:fs";
import { copyFile, mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect, createServer, type AddressInfo } from "node:net";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";

/** What it picks by itself, and what is said to be fastest. */
export const ciphers = [
  "chacha20-poly1305@openssh.com",
  "aes128-ctr",
  "aes128-gcm@openssh.com",
  "aes256-gcm@openssh.com",
] as const;

const SSHD = "/usr/sbin/sshd";
const UP_MS = 10_000;

export function lacksOpenSsh(): string | false {
  try {
    accessSync(SSHD, constants.X_OK);
    execFileSync("ssh", ["-V"], { stdio: "ignore" });
    return false;
  } catch {
    return "OpenSSH is not installed (packages openssh-client and openssh-server)";
  }
}

export class OpenSsh implements AsyncDisposable {
  readonly #folder: string;
  readonly #port: number;
  readonly #children: ChildProcess[] = [];

  static async open(): Promise<OpenSsh> {
    const folder = await mkdtemp(join(tmpdir(), "p2prc-bench-ssh-"));
    const ssh = new OpenSsh(folder, await freePort());
    try {
      await ssh.#serve();
      return ssh;
    } catch (error) {
      await ssh[Symbol.asyncDispose]();
      throw error;
    }
  }

  private constructor(folder: string, port: number) {
    this.#folder = folder;
    this.#port = port;
  }

  /** A port on loopback that leads to `to` through `ssh -L`. */
  async forward(to: number, cipher: string): Promise<number> {
    const port = await freePort();
    const options = ["-o", "ExitOnForwardFailure=yes", "-o", `Ciphers=${cipher}`];
    const where = ["-p", String(this.#port), `${userInfo().username}@127.0.0.1`];
    const forward = ["-N", "-L", `127.0.0.1:${port}:127.0.0.1:${to}`];
    await this.#start(["ssh", ...this.options, ...options, ...forward, ...where], port);
    return port;
  }

  /** What `ssh` and `scp` need to log in, but for the port. */
  get options(): readonly string[] {
    const words = [
      "StrictHostKeyChecking=no",
      `UserKnownHostsFile=${join(this.#folder, "known_hosts")}`,
      "BatchMode=yes",
      "LogLevel=ERROR",
    ];
    return ["-F", "/dev/null", "-i", join(this.#folder, "user"), ...words.flatMap((word) => ["-o", word])];
  }

  get identity(): string {
    return join(this.#folder, "user");
  }

  get port(): number {
    return this.#port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#children) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      child.kill();
      await once(child, "exit");
    }
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #serve(): Promise<void> {
    const file = (name: string) => join(this.#folder, name);
    for (const key of ["host", "user"]) {
      execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", file(key)]);
    }
    await copyFile(file("user.pub"), file("authorized_keys"));
    const lines = [
      `Port ${this.#port}`,
      "ListenAddress 127.0.0.1",
      "MaxStartups 100", // else it turns some away when many come at once
      `HostKey ${file("host")}`,
      `AuthorizedKeysFile ${file("authorized_keys")}`,
      "PidFile none",
      "StrictModes no",
      "UsePAM no",
      "PasswordAuthentication no",
      "PermitRootLogin prohibit-password",
      "MaxSessions 200",
      "SetEnv SHLVL=1", // else bash reads this person's .bashrc first, which may cost more than the command
      "Subsystem sftp internal-sftp",
    ];
    await writeFile(file("sshd_config"), `${lines.join("\n")}\n`);
    if (process.geteuid?.() === 0) mkdirSync("/run/sshd", { recursive: true, mode: 0o755 }); // where it locks itself up
    await this.#start([SSHD, "-D", "-e", "-f", file("sshd_config")], this.#port);
  }

  async #start([program, ...args]: readonly [string, ...string[]], port: number): Promise<void> {
    const child = spawn(program, args, { stdio: ["ignore", "ignore", "pipe"] });
    this.#children.push(child);
    let said = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      said = (said + text).slice(-4_096);
    });
    for (const from = performance.now(); performance.now() - from < UP_MS; ) {
      if (child.exitCode !== null) break;
      if (await answers(port)) return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error(`${program} did not come up: ${said}`);
  }
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}
