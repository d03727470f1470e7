/** Files into a sandbox and out of it, and a command by ssh, beside plain OpenSSH on the same machine. */

import { spawn } from "node:child_process";
import { randomFillSync } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { bubblewrapSkip } from "../test/support/bubblewrap-world.ts";
import { type Bench, verdict } from "./support/bench.ts";
import { alternate, MIB, median } from "./support/numbers.ts";
import { lacksOpenSsh, OpenSsh } from "./support/openssh.ts";
import { LAUNCHER, SandboxPair } from "./support/sandbox-pair.ts";

const FILE_BYTES = 1024 * MIB;
const COPY_ROUNDS = 3;
const SSH_ROUNDS = 15;
const MULTIPLEXED_TARGET_MS = 30;

const lacks = () => bubblewrapSkip() || lacksOpenSsh();

export const copy: Bench = {
  name: "copy",
  summary: "1 GiB into a sandbox and out of it, by p2prc cp and by scp, beside scp between plain OpenSSH",
  lacks,
  async run(note) {
    await using world = await World.open();
    const { folder, box } = world;
    const file = join(folder, "file");
    await fill(file);
    const there = `${userInfo().username}@127.0.0.1:${join(folder, "there")}`;
    const plain = ["scp", "-q", ...world.plain.options, "-P", String(world.plain.port)];
    const gateway = ["scp", "-q", "-F", join(world.pair.guestHome, "ssh_config")];
    const p2prc = [LAUNCHER, "--home", world.pair.guestHome, "cp"];
    const programs = {
      "scp, plain OpenSSH, there": [...plain, file, there],
      "scp, plain OpenSSH, back": [...plain, there, join(folder, "back")],
      "p2prc cp, there": [...p2prc, file, `${box}:file`],
      "p2prc cp, back": [...p2prc, `${box}:file`, join(folder, "back")],
      "scp through the gateway, there": [...gateway, file, `${box}.p2prc:file`],
      "scp through the gateway, back": [...gateway, `${box}.p2prc:file`, join(folder, "back")],
    } as const;
    note(`${COPY_ROUNDS} rounds of 1 GiB`);
    const names = Object.keys(programs) as (keyof typeof programs)[];
    const ms = await alternate(names, COPY_ROUNDS, (name) => timed(programs[name]));
    const rows = names.map((name) => {
      const way = name.endsWith("there") ? "there" : "back";
      const share = median(ms[`scp, plain OpenSSH, ${way}`]) / median(ms[name]);
      const target = name.startsWith("p2prc") ? 1 : name.includes("gateway") ? 0.5 : undefined;
      return {
        copy: name,
        "median MB/s": FILE_BYTES / 1_000 / median(ms[name]),
        "of plain scp": share,
        target,
        reached: target === undefined ? undefined : verdict(share >= target),
      };
    });
    return [{ title: "1 GiB into a sandbox and out of it", rows }];
  },
};

export const sshTrue: Bench = {
  name: "ssh-true",
  summary: "`ssh box.p2prc true`, alone and over a connection that is there, beside plain sshd",
  lacks,
  async run(note) {
    await using world = await World.open();
    const config = ["ssh", "-F", join(world.pair.guestHome, "ssh_config")];
    const plain = ["ssh", ...world.plain.options, "-p", String(world.plain.port)];
    const programs = {
      "plain sshd": [...plain, `${userInfo().username}@127.0.0.1`, "true"],
      "a connection of its own": [...config, "-S", "none", `${world.box}.p2prc`, "true"],
      multiplexed: [...config, `${world.box}.p2prc`, "true"],
    } as const;
    note(`${SSH_ROUNDS} rounds`);
    const names = Object.keys(programs) as (keyof typeof programs)[];
    const ms = await alternate(names, SSH_ROUNDS, (name) => timed(programs[name]));
    const targets = { "a connection of its own": median(ms["plain sshd"]), multiplexed: MULTIPLEXED_TARGET_MS };
    const rows = names.map((name) => {
      const target = name === "plain sshd" ? undefined : targets[name];
      const half = median(ms[name]);
      return {
        ssh: name,
        "median ms": half,
        "at most": target,
        reached: target === undefined ? undefined : verdict(half <= target),
      };
    });
    return [{ title: "ssh box.p2prc true", rows }];
  },
};

class World implements AsyncDisposable {
  readonly folder: string;
  readonly box: string;
  readonly pair: SandboxPair;
  readonly plain: OpenSsh;
  readonly #parts: AsyncDisposableStack;

  static async open(): Promise<World> {
    await using parts = new AsyncDisposableStack();
    const folder = await mkdtemp(join(tmpdir(), "p2prc-bench-copy-"));
    parts.defer(() => rm(folder, { recursive: true, force: true }));
    const plain = parts.use(await OpenSsh.open());
    const pair = parts.use(await SandboxPair.open({ runtime: "bubblewrap" }));
    const { sandbox } = await pair.touch({ name: "bench", diskBytes: 4 * FILE_BYTES });
    parts.defer(() => pair.remove(sandbox.id));
    return new World({ folder, box: sandbox.name, pair, plain }, parts.move());
  }

  private constructor(made: Pick<World, "folder" | "box" | "pair" | "plain">, parts: AsyncDisposableStack) {
    this.folder = made.folder;
    this.box = made.box;
    this.pair = made.pair;
    this.plain = made.plain;
    this.#parts = parts;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#parts.disposeAsync();
  }
}

/** Random, so that nobody can press it. */
async function fill(path: string): Promise<void> {
  await using file = await open(path, "w");
  const piece = Buffer.alloc(MIB);
  for (let at = 0; at < FILE_BYTES; at += MIB) await file.write(randomFillSync(piece));
}

async function timed([program = "", ...args]: readonly string[]): Promise<number> {
  const from = performance.now();
  const child = spawn(program, args, { stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    said = (said + text).slice(-4_096);
  });
  const [code] = (await once(child, "exit")) as [number | null];
  if (code !== 0) throw new Error(`${program} ended with ${code}: ${said}`);
  return performance.now() - from;
}
