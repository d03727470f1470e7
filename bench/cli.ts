/** What the program costs from outside: a whole `p2prc ls`, and a daemon that has nothing to do. */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { type NetnsHost, NetnsLab, whyNoLab } from "../test/lab/netns/index.ts";
import { type Bench, type Row, verdict } from "./support/bench.ts";
import { Home } from "./support/home.ts";
import { alternate, MIB, median, quantile } from "./support/numbers.ts";
import { cpuMs, rssBytes } from "./support/process-costs.ts";

const LAUNCHER = join(import.meta.dirname, "../p2prc");
const BIN = join(import.meta.dirname, "../src/cli/bin.ts");
const LS_ROUNDS = 25;
const LS_TARGET_MS = 120;

export const ls: Bench = {
  name: "ls",
  summary: "`p2prc ls` as a whole process, while a daemon runs",
  async run(note) {
    await using home = await Home.open();
    const run = (...words: string[]) => timed([LAUNCHER, "--home", home.path, ...words]);
    note("starting a daemon");
    await run("serve", "--detach", "--listen", "127.0.0.1", "--port", "0");
    try {
      const programs = {
        "p2prc ls": [LAUNCHER, "--home", home.path, "ls"],
        "p2prc ls --json": [LAUNCHER, "--home", home.path, "ls", "--json"],
        "an empty Node": [process.execPath, "-e", "0"],
      } as const;
      note(`${LS_ROUNDS} rounds`);
      const names = ["p2prc ls", "p2prc ls --json", "an empty Node"] as const;
      const ms = await alternate(names, LS_ROUNDS, (name) => timed(programs[name]));
      const rows = names.map((name) => {
        const half = median(ms[name]);
        const measured = name.startsWith("p2prc");
        return {
          program: name,
          "median ms": half,
          "p95 ms": quantile(ms[name], 0.95),
          "/ empty Node": half / median(ms["an empty Node"]),
          target: measured ? `<= ${LS_TARGET_MS}` : "",
          verdict: measured ? verdict(half <= LS_TARGET_MS) : "",
        };
      });
      return [{ title: "A whole process, from spawn to exit", rows }];
    } finally {
      await run("stop");
    }
  },
};

const IDLE_MS = 60_000;
/** Joining, first tables, first speeds and the first two minutes of asking a LAN are not idleness. */
const SETTLE_MS = 100_000;
const DAY_MS = 24 * 3_600_000;
const CPU_TARGET = 0.2;
const RSS_TARGET_MIB = 130;
const DAY_TARGET_MB = 10;

export const idle: Bench = {
  name: "idle",
  summary: "two joined daemons with nothing to do, for a minute: processor, memory, bytes both ways",
  lacks: whyNoLab,
  async run(note, signal) {
    await using lab = await NetnsLab.open({ hosts: { attic: {}, desk: {} } }, signal);
    await using folder = await Home.open();
    const { attic, desk } = lab.hosts;
    const at =
      (host: NetnsHost, name: string) =>
      (...words: string[]) =>
        host.run([process.execPath, BIN, "--home", join(folder.path, name), ...words], signal);
    const owner = at(attic, "attic");
    const guest = at(desk, "desk");
    try {
      note("joining");
      await owner(
        "serve",
        "--detach",
        "--name",
        "attic",
        "--allow-network",
        "10.77.0.0/16",
        "--allow-network",
        "fd77::/16",
      );
      const { link } = JSON.parse(await owner("invite", "--json")) as { readonly link: string };
      await guest("join", link);
      await guest("update");
      await guest("speed", "attic"); // else the daemon does that by itself, in the middle of the minute
      await rest(SETTLE_MS, signal);
      const nodes = [
        { name: "lends", host: attic, pid: await pidOf(owner) },
        { name: "guest", host: desk, pid: await pidOf(guest) },
      ];
      note(`idle for ${IDLE_MS / 1_000} s`);
      const before = await Promise.all(nodes.map((node) => costs(node, signal)));
      await rest(IDLE_MS, signal);
      const after = await Promise.all(nodes.map((node) => costs(node, signal)));
      const rows = nodes.map(({ name }, i) => idleRow(name, { before: before[i], after: after[i] }));
      return [{ title: `A joined daemon with nothing to do, over ${IDLE_MS / 1_000} s`, rows }];
    } finally {
      await Promise.allSettled([owner("stop"), guest("stop")]);
    }
  },
};

interface Costs {
  readonly cpuMs: number;
  readonly rssBytes: number;
  readonly sent: number;
  readonly received: number;
}

async function costs(
  { host, pid }: { readonly host: NetnsHost; readonly pid: number },
  signal: AbortSignal,
): Promise<Costs> {
  const counter = async (name: string) =>
    Number(await host.run(["cat", `/sys/class/net/eth0/statistics/${name}`], signal));
  return {
    cpuMs: cpuMs(pid) ?? Number.NaN,
    rssBytes: rssBytes(pid) ?? Number.NaN,
    sent: await counter("tx_bytes"),
    received: await counter("rx_bytes"),
  };
}

function idleRow(
  node: string,
  { before, after }: { readonly before?: Costs | undefined; readonly after?: Costs | undefined },
): Row {
  if (before === undefined || after === undefined) return { node };
  const cpu = ((after.cpuMs - before.cpuMs) / IDLE_MS) * 100;
  const sent = after.sent - before.sent;
  const received = after.received - before.received;
  const dayMb = ((sent + received) * (DAY_MS / IDLE_MS)) / 1e6;
  const rss = after.rssBytes / MIB;
  return {
    node,
    "CPU %": cpu,
    "<= 0.2": verdict(cpu <= CPU_TARGET),
    "RSS MiB": rss,
    "<= 130": verdict(rss <= RSS_TARGET_MIB),
    "sent B": sent,
    "received B": received,
    "MB a day": dayMb,
    "<= 10": verdict(dayMb <= DAY_TARGET_MB),
  };
}

async function pidOf(run: (...words: string[]) => Promise<string>): Promise<number> {
  return (JSON.parse(await run("status", "--json")) as { readonly pid: number }).pid;
}

/** @returns milliseconds from spawn to exit @throws with its stderr when it fails */
async function timed([program = "", ...args]: readonly string[]): Promise<number> {
  const from = performance.now();
  const child = spawn(program, args, { stdio: ["ignore", "ignore", "pipe"] });
  const said = text(child.stderr);
  const [code] = (await once(child, "exit")) as [number | null];
  const ms = performance.now() - from;
  if (code !== 0) throw new Error(`${program} ${args.join(" ")} ended with ${code}: ${await said}`);
  return ms;
}

function rest(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener(
      "abort",
      () => {
        clearTimeout(timer);
        reject(signal.reason as Error);
      },
      { once: true },
    );
  });
}
