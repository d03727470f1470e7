/**
 * Many sandboxes on one node: fifty at once, of which none may be lost, and one after another, after which nothing may be
 * left. `CYCLES` in the environment says how often; 1,000 take minutes.
 */

import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { env } from "node:process";
import type { TouchRequest } from "../src/sandbox/index.ts";
import { bubblewrapSkip } from "../test/support/bubblewrap-world.ts";
import { DockerLab, whyNoDocker } from "../test/support/docker-lab.ts";
import { type Bench, type Row, verdict } from "./support/bench.ts";
import { MIB } from "./support/numbers.ts";
import { rssBytes } from "./support/process-costs.ts";
import { SandboxPair } from "./support/sandbox-pair.ts";

const AT_ONCE = 50;
/** Small ones: what a node may promise in all is not what is measured. */
const SMALL = { memoryBytes: 64 * MIB, diskBytes: 64 * MIB, cpus: 1 };
const IN_DOCKER = { ...SMALL, image: "p2prc-test:tiny" };
/** Two daemons' heaps go up and down by that much with nothing to do. */
const MAX_GROWTH_MIB = 24;
/** A connection more or less. Sandboxes that leave something behind leave hundreds. */
const MAX_MORE_FILES = 4;
const KINDS = ["mnt", "net", "pid", "user", "ipc", "uts"] as const;

export const parallel: Bench = {
  name: "parallel",
  summary: `bubblewrap: ${AT_ONCE} sandboxes started at once`,
  lacks: bubblewrapSkip,
  async run() {
    await using pair = await SandboxPair.open({ runtime: "bubblewrap" });
    return [{ title: `${AT_ONCE} at once, bubblewrap`, rows: [await startMany(pair, SMALL)] }];
  },
};

export const parallelDocker: Bench = {
  name: "parallel-docker",
  summary: "Docker: the same",
  lacks: whyNoDocker,
  async run() {
    await using lab = await DockerLab.open({ userns: true });
    const environment = { DOCKER_HOST: `unix://${lab.engine.socketPath}` };
    await using pair = await SandboxPair.open({ runtime: "docker", environment });
    return [{ title: `${AT_ONCE} at once, Docker`, rows: [await startMany(pair, IN_DOCKER)] }];
  },
};

export const cycles: Bench = {
  name: "cycles",
  summary: "bubblewrap: touch and rm, 1,000 times (CYCLES), and what has grown",
  lacks: bubblewrapSkip,
  async run(note) {
    await using pair = await SandboxPair.open({ runtime: "bubblewrap" });
    return [{ title: "touch and rm, bubblewrap", rows: await cycle(pair, SMALL, { count: countOr(1_000), note }) }];
  },
};

export const cyclesDocker: Bench = {
  name: "cycles-docker",
  summary: "Docker: the same, 100 times",
  lacks: whyNoDocker,
  async run(note) {
    await using lab = await DockerLab.open({ userns: true });
    const environment = { DOCKER_HOST: `unix://${lab.engine.socketPath}` };
    await using pair = await SandboxPair.open({ runtime: "docker", environment });
    return [{ title: "touch and rm, Docker", rows: await cycle(pair, IN_DOCKER, { count: countOr(100), note }) }];
  },
};

async function startMany(pair: SandboxPair, wish: TouchRequest): Promise<Row> {
  const begun = performance.now();
  const outcomes = await Promise.allSettled(Array.from({ length: AT_ONCE }, () => pair.touch(wish)));
  const seconds = (performance.now() - begun) / 1_000;
  const names = outcomes.flatMap((outcome) => (outcome.status === "fulfilled" ? [outcome.value.sandbox.name] : []));
  const reasons = outcomes.flatMap((outcome) => (outcome.status === "rejected" ? [String(outcome.reason)] : []));
  const answered = await Promise.allSettled(names.map((name) => pair.exec(name, "true")));
  const alive = answered.filter(({ status }) => status === "fulfilled").length;
  for (const name of names) await pair.remove(name);
  return {
    asked: AT_ONCE,
    made: names.length,
    "run a command": alive,
    "s in all": seconds,
    verdict: verdict(alive === AT_ONCE),
    ...(reasons[0] === undefined ? {} : { why: reasons[0] }),
  };
}

interface Cycling {
  readonly count: number;
  readonly note: (words: string) => void;
}

async function cycle(pair: SandboxPair, wish: TouchRequest, { count, note }: Cycling): Promise<readonly Row[]> {
  const warm = Math.min(20, Math.ceil(count / 4)); // compilers and caches have what they want
  for (let i = 0; i < warm; i++) await once(pair, wish);
  const before = await look(pair);
  const begun = performance.now();
  for (let i = 1; i <= count; i++) {
    await once(pair, wish);
    if (i % 50 === 0) note(`${i} of ${count}`);
  }
  const ms = (performance.now() - begun) / count;
  const after = await look(pair);
  const rows = Object.entries(before).map(([what, value]) => {
    const now = after[what as keyof Looks];
    const allowed = what.endsWith("MiB") ? MAX_GROWTH_MIB : what.endsWith("files") ? MAX_MORE_FILES : 0;
    return { what, before: value, after: now, verdict: verdict(now - value <= allowed) };
  });
  return [...rows, { what: "ms for one touch, exec of true and rm", after: ms }];
}

async function once(pair: SandboxPair, wish: TouchRequest): Promise<void> {
  const { name } = (await pair.touch(wish)).sandbox;
  await pair.exec(name, "true");
  await pair.remove(name);
}

interface Looks {
  readonly "owner MiB": number;
  readonly "guest MiB": number;
  readonly "owner's open files": number;
  readonly "guest's open files": number;
  readonly "folders of sandboxes": number;
  readonly "mounts out of its home": number;
  readonly "processes in its sandboxes": number;
  readonly "namespaces of theirs": number;
}

async function look(pair: SandboxPair): Promise<Looks> {
  await new Promise((resolve) => setTimeout(resolve, 2_000)); // what was removed last is gone
  const [owner, guest] = [await pair.ownerPid(), await pair.guestPid()];
  const left = processes().filter((pid) => pid !== owner && mountsFrom(pid, pair.ownerHome) > 0);
  return {
    "owner MiB": (rssBytes(owner) ?? 0) / MIB,
    "guest MiB": (rssBytes(guest) ?? 0) / MIB,
    "owner's open files": readdirSync(`/proc/${owner}/fd`).length,
    "guest's open files": readdirSync(`/proc/${guest}/fd`).length,
    "folders of sandboxes": entries(join(pair.ownerHome, "sandboxes")),
    "mounts out of its home": mountsFrom(owner, pair.ownerHome),
    "processes in its sandboxes": left.length,
    "namespaces of theirs": new Set(left.flatMap((pid) => KINDS.map((kind) => namespaceOf(pid, kind)))).size,
  };
}

/** All of this machine: a sandbox that was left behind is no child of its daemon. */
function processes(): readonly number[] {
  return readdirSync("/proc").flatMap((name) => (/^\d+$/.test(name) ? [Number(name)] : []));
}

/** What of this home is mounted where that process is: those in its sandboxes see their layers. */
function mountsFrom(pid: number, home: string): number {
  try {
    const lines = readFileSync(`/proc/${pid}/mountinfo`, "utf8").split("\n");
    return lines.filter((line) => line.includes(`${home}/`)).length;
  } catch {
    return 0; // gone
  }
}

function namespaceOf(pid: number, kind: string): string {
  try {
    return readlinkSync(`/proc/${pid}/ns/${kind}`);
  } catch {
    return "";
  }
}

function entries(folder: string): number {
  try {
    return readdirSync(folder).length;
  } catch {
    return 0; // never one made
  }
}

function countOr(usual: number): number {
  const count = Number(env["CYCLES"] ?? usual);
  if (!Number.isInteger(count) || count < 1) throw new Error(`CYCLES is no number of cycles: "${env["CYCLES"]}"`);
  return count;
}
