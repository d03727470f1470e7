/** The real Io, made of a process. Signals abort it; a reader that leaves (`| head`) ends the program quietly. */

import { type Clock, systemClock } from "../base/index.ts";
import type { Io, Streams } from "./io.ts";
import type { Machine } from "./machine.ts";
import { type Terminal, terminal } from "./terminal.ts";

export interface ProcessIo {
  readonly io: Io;
  readonly screen: Terminal;
}

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

export interface Place {
  /** The person's own folder. */
  readonly home: string;
  /** This program's file. */
  readonly bin: string;
  /** @default the system's */
  readonly clock?: Clock;
}

export function processIo(process: NodeJS.Process, place: Place): ProcessIo {
  const { clock = systemClock } = place;
  const interrupted = new AbortController();
  const { signal } = interrupted;
  let insisted: AbortController | undefined;
  for (const name of SIGNALS) {
    process.on(name, () => {
      const reason = new DOMException(name, "AbortError");
      if (!signal.aborted) interrupted.abort(reason);
      else if (insisted?.signal.aborted === false) insisted.abort(reason);
      else process.exit(130); // asked once more: whatever is still closing has had its chance
    });
  }
  for (const stream of [process.stdout, process.stderr]) {
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code !== "EPIPE") throw error;
      if (signal.aborted) return; // each write that follows says so again
      // The reader has seen enough. What was begun is closed, as at Ctrl-C, and that is no failure.
      process.once("exit", () => {
        process.exitCode = 0;
      });
      interrupted.abort(new DOMException("EPIPE", "AbortError"));
    });
  }
  const screen = terminal({
    stdout: process.stdout,
    stderr: process.stderr,
    environment: process.env,
    clock,
    signal,
  });
  const io: Io = {
    ...screen,
    streams: streamsOf(process),
    signal,
    insisted: () => {
      insisted ??= new AbortController();
      return insisted.signal;
    },
    clock,
    machine: machineOf(process, place),
    ask: (question) => {
      screen.clear(); // a line of progress that is due would be written over the question
      return askPerson(process, question, signal);
    },
    open: async (options) => (await import("./open.ts")).openForCommand(options, io),
    isRunning: async (home) => (await import("./open.ts")).isRunning(home, io),
    stop: async (home) => (await import("../client/index.ts")).stopDaemon({ home, clock }, signal),
    runDaemon: async (options, onReady) => {
      const { env: environment, platform, pid } = process;
      const here = { environment, platform, pid, uid: process.getuid?.() };
      await (await import("./run-daemon.ts")).runDaemonHere({ ...options, here }, onReady, signal);
    },
  };
  return { io, screen };
}

/** Each is opened when it is asked for: a stdin that nobody reads must not keep the process. */
function streamsOf(process: NodeJS.Process): Streams {
  let untouched: Promise<void> | undefined;
  return {
    get stdin() {
      return process.stdin;
    },
    get stdout() {
      return process.stdout;
    },
    get stderr() {
      return process.stderr;
    },
    setRaw: async (raw) => {
      if (raw) process.stdin.setRawMode(true);
      if (raw && process.platform !== "win32") untouched = leaveOutputAlone();
      await untouched; // what comes later would outlive what follows
      if (!raw) process.stdin.setRawMode(false);
    },
  };
}

/**
 * Node's raw mode still puts a carriage return before each line feed (libuv, uv_tty_set_mode), which draws the screens of
 * editors askew. What is undone later is the mode as it was before, so this needs no undoing of its own.
 */
async function leaveOutputAlone(): Promise<void> {
  const { spawn } = await import("node:child_process");
  const stty = spawn("stty", ["-opost"], { stdio: ["inherit", "ignore", "ignore"] });
  await new Promise((resolve) => stty.once("close", resolve).once("error", resolve)); // not there: a little askew
}

/** On stderr, so that `p2prc add … | tee` still asks. */
async function askPerson(process: NodeJS.Process, question: string, signal: AbortSignal): Promise<string | undefined> {
  if (process.stdin.isTTY !== true || process.stderr.isTTY !== true) return undefined;
  const { createInterface } = await import("node:readline/promises");
  const reader = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return await reader.question(question, { signal });
  } finally {
    reader.close();
  }
}

function machineOf(process: NodeJS.Process, { home, bin }: Place): Machine {
  return {
    platform: process.platform,
    environment: process.env,
    userFolder: home,
    node: process.execPath,
    nodeVersion: process.version,
    bin,
    run: async (command, args) => (await import("./run.ts")).runProgram(command, args),
    attach: async (command, args, signal) => (await import("./attach.ts")).attachProgram(command, args, signal),
  };
}
