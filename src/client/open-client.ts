/**
 * From a home to a client of its daemon. Whether one runs is found out by asking it for its status;
 * where none does, it is started, unless that is not wanted.
 */

import { homedir } from "node:os";
import { env, execPath, getuid, platform } from "node:process";
import { fileURLToPath } from "node:url";
import { type Clock, isRunning, systemClock, within } from "../base/index.ts";
import { Failure, homePath } from "../core/light.ts";
import type { Status } from "../daemon/index.ts";
import { type Client, clientOver } from "./client.ts";
import { findSocket, type LocalUser } from "./local-socket.ts";
import { type DaemonProgram, startDaemon } from "./start-daemon.ts";
import { socketTransport } from "./transport.ts";

export interface OpenClientOptions {
  /** The folder of the node. @default P2PRC_HOME, else `~/.p2prc` */
  readonly home?: string;
  /** Whether to start a daemon where none runs. @default true */
  readonly start?: boolean;
  /** Told before one is started, which takes seconds. */
  readonly onStart?: () => void;
  /** What a daemon that is started is given beside its home. */
  readonly flags?: readonly string[];
  /** What to start. @default the daemon that came with this program */
  readonly program?: DaemonProgram;
  /** @default the system's */
  readonly clock?: Clock;
}

/** A client, and how the daemon was when it was opened. */
export interface Opened {
  readonly client: Client;
  readonly status: Status;
  /** Whether it had to be started. */
  readonly started: boolean;
}

/** A daemon answers in a millisecond; one that is busy saving to a slow disk takes a second. */
const STATUS_TIMEOUT_MS = 5_000;
/** Closing links and leases in good order takes a moment. */
const STOP_TIMEOUT_MS = 20_000;
/** Its process ends a moment after its socket; when it was started for the first time it keeps what it compiled, which takes seconds. */
const EXIT_MS = 10_000;
const POLL_MS = 50;

/** @throws {Failure} daemon-not-running, daemon-failed, home-unusable, and what a daemon that was started failed with */
export async function openClient(options: OpenClientOptions, signal: AbortSignal): Promise<Client> {
  return (await openDaemon(options, signal)).client;
}

/** @throws {Failure} as openClient */
export async function openDaemon(options: OpenClientOptions, signal: AbortSignal): Promise<Opened> {
  const {
    home = homePath(env, homedir()),
    start = true,
    onStart,
    flags = [],
    program = ownDaemon(),
    clock = systemClock,
  } = options;
  const running = await connect({ home, clock }, signal);
  if (running !== undefined) return { ...running, started: false };
  if (!start) throw notRunning();
  onStart?.();
  const answers = async (asking: AbortSignal) => {
    const answer = await connect({ home, clock }, asking);
    await answer?.client[Symbol.asyncDispose]();
    return answer !== undefined;
  };
  await startDaemon({ program, clock, answers }, { home, flags }, signal);
  const opened = await connect({ home, clock }, signal);
  if (opened === undefined)
    throw new Failure("daemon-failed", "the daemon answered once and then ended", { hint: "`p2prc logs` may say why" });
  return { ...opened, started: true };
}

/** Ends a daemon, and waits until it is gone. Content when there is none. */
export async function stopDaemon(
  { home, clock = systemClock }: { readonly home: string; readonly clock?: Clock },
  signal: AbortSignal,
): Promise<Status | undefined> {
  const running = await connect({ home, clock }, signal);
  if (running === undefined) return undefined;
  await running.client.stop(signal);
  await running.client[Symbol.asyncDispose]();
  const { boot, pid } = running.status;
  const late = () =>
    new Failure("daemon-failed", `the daemon was told to end and still runs after ${STOP_TIMEOUT_MS / 1000} s`, {
      hint: `end it with \`kill ${pid}\``,
    });
  await within(
    { clock, timeoutMs: STOP_TIMEOUT_MS, late },
    async (waiting) => {
      while (await isUp({ home, clock, boot }, waiting)) await clock.sleep(POLL_MS, waiting);
    },
    signal,
  );
  for (let waited = 0; isRunning(pid) && waited < EXIT_MS; waited += POLL_MS) await clock.sleep(POLL_MS, signal);
  return running.status;
}

/** Undefined when no daemon runs on this home. */
export async function connect(
  { home, clock = systemClock }: { readonly home: string; readonly clock?: Clock },
  signal: AbortSignal,
): Promise<Omit<Opened, "started"> | undefined> {
  const socket = await findSocket(home, localUser());
  if (socket === undefined) return undefined;
  const transport = socketTransport(socket);
  const client = clientOver(transport);
  try {
    const late = () =>
      new Failure(
        "daemon-failed",
        `the daemon of this home does not answer (tried for ${STATUS_TIMEOUT_MS / 1000} s)`,
        {
          hint: `if it hangs, end it: its process id is in ${home}/pid`,
        },
      );
    const status = await within(
      { clock, timeoutMs: STATUS_TIMEOUT_MS, late },
      (asking) => client.status(asking),
      signal,
    );
    return { client, status };
  } catch (error) {
    await transport[Symbol.asyncDispose]();
    if (error instanceof Failure && error.code === "daemon-not-running") return undefined;
    throw error;
  }
}

/** Whether the daemon of that life still answers. One that breaks off is ending. */
async function isUp(
  { home, clock, boot }: { readonly home: string; readonly clock: Clock; readonly boot: string },
  signal: AbortSignal,
): Promise<boolean> {
  try {
    const answer = await connect({ home, clock }, signal);
    await answer?.client[Symbol.asyncDispose]();
    return answer?.status.boot === boot;
  } catch (error) {
    if (error instanceof Failure && error.code === "daemon-failed") return true;
    throw error;
  }
}

function notRunning(): Failure {
  return new Failure("daemon-not-running", "no daemon runs for this home", {
    hint: "`p2prc serve` starts one, as does any command that needs it",
  });
}

/** `main.ts` in the source folder, `main.js` in the package. */
function ownDaemon(): DaemonProgram {
  const here = import.meta.url;
  const main = new URL(`../daemon/main.${here.endsWith(".ts") ? "ts" : "js"}`, here);
  return { command: execPath, args: [fileURLToPath(main)] };
}

function localUser(): LocalUser {
  return { platform, uid: getuid?.() };
}
