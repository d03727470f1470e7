/**
 * Starts the daemon of a home in the background and waits until it answers.
 *
 * Nothing here decides who may run: the daemon locks its home, so of two that are started at once
 * one gives way, and both starters end up with the other. Whether a daemon runs is only ever found
 * out by asking it; no process id is trusted.
 */

import { type ChildProcess, spawn } from "node:child_process";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { env } from "node:process";
import { type Clock, makeFolder, Scope } from "../base/index.ts";
import { cleanText, Failure, type FailureCode, isFailureCode } from "../core/light.ts";

/** The command that runs a daemon in the foreground; `--home` and the options are added. */
export interface DaemonProgram {
  readonly command: string;
  readonly args: readonly string[];
}

export interface StartDeps {
  readonly program: DaemonProgram;
  readonly clock: Clock;
  /** Whether a daemon answers on this home now. */
  readonly answers: (signal: AbortSignal) => Promise<boolean>;
}

export interface StartOptions {
  readonly home: string;
  /** Given to the daemon as they are. */
  readonly flags?: readonly string[];
  /** A slow machine takes some seconds to load the libraries for the first time. @default 20_000 */
  readonly timeoutMs?: number;
}

/** What the daemon says before it has a log, and what Node says when it dies of a defect. */
const STDERR_FILE = "daemon.stderr";
const MAX_STDERR_BYTES = 64 * 1024;
/** How long another daemon, which holds the home already, may take to answer. */
const OTHER_DAEMON_MS = 5_000;

/** @throws {Failure} what the daemon failed with, or daemon-failed */
export async function startDaemon(
  deps: StartDeps,
  { home, flags = [], timeoutMs = 20_000 }: StartOptions,
  signal: AbortSignal,
): Promise<void> {
  signal.throwIfAborted();
  await using stderr = await openStderr(home);
  const child = spawn(deps.program.command, [...deps.program.args, "--home", home, ...flags], {
    detached: true,
    stdio: ["ignore", "ignore", stderr.file.fd],
    env: { NODE_COMPILE_CACHE: join(home, "cache"), ...env }, // halves the time to start
    windowsHide: true,
  });
  const ended = whenEnded(child);
  child.unref();
  const first = await firstOf(deps, { ended, timeoutMs }, signal);
  if (first === "answers") return;
  const said = await stderr.said();
  const failure = failureFromStderr(said);
  if (failure?.code === "home-in-use" && (await waitFor(deps, OTHER_DAEMON_MS, signal)) === "answers") return;
  if (first === "silent") {
    throw new Failure("daemon-failed", `the daemon was started and has not answered for ${timeoutMs / 1000} s`, {
      hint: `look into ${join(home, STDERR_FILE)}; it is still starting (process ${child.pid ?? "unknown"})`,
    });
  }
  throw (
    failure ??
    new Failure("daemon-failed", `the daemon ended as soon as it was started (${first})`, {
      hint:
        said === ""
          ? "is the disk full (`df -h`)? `p2prc serve` starts it in the foreground, where it can say why"
          : `look into ${join(home, STDERR_FILE)}`,
    })
  );
}

async function firstOf(
  deps: StartDeps,
  { ended, timeoutMs }: { readonly ended: Promise<string>; readonly timeoutMs: number },
  signal: AbortSignal,
): Promise<string> {
  await using waiting = new Scope(signal); // ends the asking when the daemon ends first
  return await Promise.race([waitFor(deps, timeoutMs, waiting.signal), ended]);
}

/** Asks often at first: a daemon is there after some 300 ms, and a person waits. */
async function waitFor(
  { answers, clock }: StartDeps,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<"answers" | "silent"> {
  const until = clock.now() + timeoutMs;
  for (let pauseMs = 20; clock.now() < until; pauseMs = Math.min(pauseMs * 1.3, 250)) {
    if (await answers(signal)) return "answers";
    await clock.sleep(pauseMs, signal);
  }
  return "silent";
}

function whenEnded(child: ChildProcess): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  child.once("error", (error) => resolve(error.message));
  child.once("exit", (code, killer) => resolve(killer === null ? `exit code ${code}` : killer));
  return promise;
}

/** Appended to, since an earlier daemon may have died of something worth reading; begun anew when it has grown. */
async function openStderr(home: string) {
  try {
    await makeFolder(home);
    const file = await open(join(home, STDERR_FILE), "a+", 0o600);
    if ((await file.stat()).size > MAX_STDERR_BYTES) await file.truncate();
    const { size: start } = await file.stat();
    return {
      file,
      async said(): Promise<string> {
        const { bytesRead, buffer } = await file.read(Buffer.alloc(MAX_STDERR_BYTES), 0, MAX_STDERR_BYTES, start);
        return buffer.toString("utf8", 0, bytesRead);
      },
      [Symbol.asyncDispose]: () => file.close(),
    };
  } catch (cause) {
    throw new Failure(
      "home-unusable",
      `cannot use the folder "${home}": ${(cause as NodeJS.ErrnoException).code ?? String(cause)}`,
      {
        hint: "choose a folder that you may write in with --home or P2PRC_HOME",
        cause,
      },
    );
  }
}

/** A daemon that cannot start ends with one line of JSON like every other error of ours: `{"error":{code,message,hint}}`. */
export function failureFromStderr(text: string): Failure | undefined {
  const lines = text.split("\n").filter((line) => line.startsWith('{"error":') && line.endsWith("}"));
  const last = lines.at(-1);
  if (last === undefined) return undefined;
  const { error } = JSON.parse(last) as { error: { code: string; message: string; hint?: string } };
  const code: FailureCode = isFailureCode(error.code) ? error.code : "daemon-failed";
  const hint = error.hint === undefined ? undefined : cleanText(error.hint, 1000);
  return new Failure(code, cleanText(error.message, 1000), { hint });
}
