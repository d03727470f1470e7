/** One `ansible-playbook`, to its end: events as they come, all that it says in a log, and its end at the time limit. */

import { spawn } from "node:child_process";
import { createWriteStream } from "node:fs";
import type { Readable } from "node:stream";
import type { Clock } from "../base/index.ts";
import { type PlaybookEvent, readEvent } from "./events.ts";

export interface PlaybookDeps {
  readonly clock: Clock;
  readonly onEvent: (event: PlaybookEvent) => void;
}

export interface PlaybookCall {
  readonly argv: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  readonly user: { readonly uid: number; readonly gid: number } | undefined;
  /** A file for what it says. */
  readonly log: string;
  readonly timeLimitMs: number;
}

export interface PlaybookEnd {
  /** Undefined: a signal ended it. */
  readonly code: number | undefined;
  readonly timedOut: boolean;
  /** The last that it said. */
  readonly tail: string;
}

/** Between asking it to end and ending it. */
const GRACE_MS = 5_000;
const MAX_TAIL_LENGTH = 4_000;
/** A log is for a person; what a plugin writes beyond is not kept. */
const MAX_LOG_BYTES = 64 * 1_024 ** 2;
const MAX_LINE_LENGTH = 64 * 1_024;

/** Ctrl-C (`signal`) asks it to end as a terminal would. Rejects only where it could not be started. */
export async function runPlaybook(deps: PlaybookDeps, call: PlaybookCall, signal: AbortSignal): Promise<PlaybookEnd> {
  const [file = "", ...args] = call.argv;
  const child = spawn(file, args, {
    cwd: call.cwd,
    env: { ...call.env, P2PRC_EVENTS_FD: "3" },
    stdio: ["ignore", "pipe", "pipe", "pipe"],
    detached: true, // a group of its own: a Ctrl-C comes from us alone, and all of it can be ended
    ...call.user,
  });
  const exited = new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", resolve);
  });
  const ending = new AbortController();
  const kill = (name: NodeJS.Signals) => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, name);
    } catch {
      // it is gone
    }
  };
  const leave = () => kill("SIGKILL");
  process.once("exit", leave); // asked twice to end, we end at once, and it with us
  let timedOut = false;
  const limit = endAfter(call.timeLimitMs, { clock: deps.clock, kill, ended: ending.signal }).then((late) => {
    timedOut = late;
  });
  const interrupted = () => void endSlowly({ clock: deps.clock, kill, ended: ending.signal });
  signal.addEventListener("abort", interrupted, { once: true });
  if (signal.aborted) interrupted();
  const said = keepLog([child.stdout, child.stderr] as Readable[], call.log);
  readLines(child.stdio[3] as Readable, (line) => {
    const event = readEvent(line);
    if (event !== undefined) deps.onEvent(event);
  });
  try {
    const code = await exited;
    kill("SIGKILL"); // what it left behind
    await settled(child.stdio[3] as Readable, deps.clock, ending.signal);
    ending.abort();
    await limit;
    return { code: code ?? undefined, timedOut, tail: await said() };
  } finally {
    ending.abort();
    signal.removeEventListener("abort", interrupted);
    process.off("exit", leave);
  }
}

interface Ending {
  readonly clock: Clock;
  readonly kill: (name: NodeJS.Signals) => void;
  /** Aborts when it has ended. */
  readonly ended: AbortSignal;
}

/** @returns whether it came to that */
async function endAfter(ms: number, ending: Ending): Promise<boolean> {
  await ending.clock.sleep(ms, ending.ended).catch(() => undefined);
  if (ending.ended.aborted) return false;
  await endSlowly(ending);
  return true;
}

async function endSlowly({ clock, kill, ended }: Ending): Promise<void> {
  kill("SIGINT");
  await clock.sleep(GRACE_MS, ended).catch(() => undefined);
  if (!ended.aborted) kill("SIGKILL");
}

/** The last events may still be on their way. */
async function settled(events: Readable, clock: Clock, ended: AbortSignal): Promise<void> {
  if (events.closed) return;
  const closed = new Promise((resolve) => events.once("close", resolve));
  await Promise.race([closed, clock.sleep(500, ended).catch(() => undefined)]);
}

/** @returns the last that was said, once all is written */
function keepLog(streams: readonly Readable[], path: string): () => Promise<string> {
  const log = createWriteStream(path, { mode: 0o600 });
  log.on("error", () => undefined); // a full disk must not end what runs elsewhere
  let tail = "";
  let room = MAX_LOG_BYTES;
  for (const stream of streams) {
    stream.on("error", () => undefined);
    stream.on("data", (chunk: Buffer) => {
      tail = `${tail}${chunk.toString("utf8")}`.slice(-MAX_TAIL_LENGTH);
      if (room > 0) log.write(chunk.subarray(0, room));
      room -= chunk.length;
    });
  }
  return async () => {
    await new Promise<void>((resolve) => log.end(() => resolve()));
    return tail;
  };
}

function readLines(stream: Readable, onLine: (line: string) => void): void {
  let rest = "";
  stream.on("error", () => undefined);
  stream.setEncoding("utf8").on("data", (chunk: string) => {
    const lines = (rest + chunk).split("\n");
    rest = (lines.pop() ?? "").slice(0, MAX_LINE_LENGTH);
    for (const line of lines) onLine(line);
  });
}
