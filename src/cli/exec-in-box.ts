/**
 * A command in a sandbox with this terminal around it: keys and pipes go in as they are, output comes out as it is, the
 * size of the window is passed on, and Ctrl-C is for the command, not for us.
 */

import type { Writable } from "node:stream";
import { Scope } from "../base/index.ts";
import type { Client, Exec } from "../client/index.ts";
import { cleanText, Failure } from "../core/light.ts";
import type { ExecEnd, ExecStart } from "../sandbox/light.ts";
import { BoxWatch } from "./box-watch.ts";
import type { Io } from "./io.ts";
import { ENOUGH, Unheard } from "./unheard.ts";
import { whyCut } from "./why-cut.ts";

export interface ExecOptions {
  readonly box: string;
  readonly argv: readonly string[];
  readonly env?: Readonly<Record<string, string>> | undefined;
  readonly cwd?: string | undefined;
  readonly user?: string | undefined;
  /** @default whether stdin and stdout are terminals */
  readonly terminal?: boolean | undefined;
  /** Whether what is typed or piped in goes to it. @default true */
  readonly input?: boolean | undefined;
}

/** @returns its exit code; 128 and the number of the signal that ended it @throws {Failure} link-lost when it was cut off */
export async function execInBox(client: Client, options: ExecOptions, io: Io): Promise<number> {
  const { box, input = true } = options;
  const { stdin, stdout } = io.streams;
  const terminal = options.terminal ?? (input && stdin.isTTY === true && stdout.isTTY === true);
  io.progress(`reaching ${box}`);
  await using exec = await client.exec(box, startOf(options, terminal, io), io.signal);
  io.clear();
  const unheard = new Unheard();
  const released = input ? feed(exec, { terminal, unheard }, io) : undefined;
  if (!input) await exec.send("stdinEnd");
  await using beside = new Scope();
  const watch = new BoxWatch({ client, box, terminal, io });
  beside.spawn((signal) => watch.run(signal));
  let left: string | undefined;
  const interrupted = () =>
    beside.spawn(async (signal) => {
      left = await watch.look(signal);
      if (left !== undefined) await exec[Symbol.asyncDispose](); // it hears no signal
    });
  using _passing = passOn(exec, { terminal, interrupted }, io);
  const end = await shown(exec, { released, unheard, watch }, io);
  if (end === undefined && left !== undefined) return leftFrozen({ box, why: left }, io);
  if (end === undefined) throw await cutOff(client, { box, unheard }, io);
  return exitCode(end, options, io);
}

function startOf({ argv, env = {}, cwd, user }: ExecOptions, terminal: boolean, io: Io): ExecStart {
  const { stdout } = io.streams;
  const { columns = 80, rows = 24 } = stdout;
  const type = io.machine.environment["TERM"] ?? "xterm";
  return {
    argv,
    env,
    ...(cwd === undefined ? {} : { cwd }),
    ...(user === undefined ? {} : { user }),
    ...(terminal ? { terminal: { columns, rows, type } } : {}),
  };
}

/** Passes what is typed or piped in. @returns what ends it */
function feed(
  exec: Exec,
  { terminal, unheard }: { readonly terminal: boolean; readonly unheard: Unheard },
  { streams }: Io,
): () => Promise<void> {
  const { stdin } = streams;
  const raw = terminal && stdin.isTTY === true;
  const raised = raw ? streams.setRaw(true) : undefined;
  let over = false;
  const pump = async () => {
    try {
      for await (const chunk of stdin as AsyncIterable<Uint8Array>) {
        if (raw && unheard.typed(chunk)) return await exec[Symbol.asyncDispose]();
        await exec.send("stdin", chunk);
      }
      await exec.send("stdinEnd");
    } catch (error) {
      // A stdin that breaks has ended for the command; that it does so at the end is our own doing.
      if (!over) await exec.send("stdinEnd");
      if (!(error instanceof Error)) throw error;
    }
  };
  void pump();
  return async () => {
    over = true;
    await raised;
    if (raw) await streams.setRaw(false);
    stdin.destroy(); // whoever writes to us has nobody to write to any more, and the process may end
  };
}

/** The size of the window and Ctrl-C, until disposed of. */
function passOn(
  exec: Exec,
  { terminal, interrupted }: { readonly terminal: boolean; readonly interrupted: () => void },
  io: Io,
): Disposable {
  const { stdout } = io.streams;
  const resize = () => {
    const { columns = 80, rows = 24 } = stdout;
    void exec.send("resize", JSON.stringify({ columns, rows }));
  };
  const interrupt = () => {
    void exec.send("signal", signalOf(io.signal));
    interrupted();
  };
  if (terminal) stdout.on("resize", resize);
  if (io.signal.aborted) interrupt();
  else io.signal.addEventListener("abort", interrupt, { once: true });
  return {
    [Symbol.dispose]: () => {
      stdout.off("resize", resize);
      io.signal.removeEventListener("abort", interrupt);
    },
  };
}

function signalOf({ reason }: AbortSignal): string {
  const { message } = reason as Error;
  return /^SIG[A-Z]+$/.test(message) ? message : "SIGINT";
}

interface Showing {
  readonly released: (() => Promise<void>) | undefined;
  readonly unheard: Unheard;
  readonly watch: BoxWatch;
}

async function shown(exec: Exec, { released, ...listeners }: Showing, io: Io): Promise<ExecEnd | undefined> {
  try {
    return await show(exec, listeners, io);
  } finally {
    await released?.();
  }
}

/** Undefined where the stream ended before the command did. */
async function show(
  exec: Exec,
  { unheard, watch }: Omit<Showing, "released">,
  { streams: { stdout, stderr } }: Io,
): Promise<ExecEnd | undefined> {
  for await (const { kind, content } of exec.frames()) {
    unheard.answered();
    watch.heard();
    if (kind === "end") return JSON.parse(content.toString()) as ExecEnd;
    const to = kind === "stdout" ? stdout : kind === "stderr" ? stderr : undefined;
    if (to !== undefined && !to.write(content)) await roomIn(to);
  }
  return undefined;
}

/** A reader that leaves (`| head`) makes room as well: what follows goes nowhere. */
export function roomIn(stream: Writable): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      stream.off("drain", done).off("close", done).off("error", done);
      resolve();
    };
    stream.on("drain", done).on("close", done).on("error", done);
  });
}

/** Numbers of signals where sandboxes run: on Linux, from 1. */
const SIGNALS =
  "HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS".split(
    " ",
  );

function exitCode(end: ExecEnd, { argv, box }: ExecOptions, io: Io): number {
  switch (end.kind) {
    case "exited":
      return end.code;
    case "signalled":
      return signalCode(end.signal);
    case "refused":
      io.err(
        `p2prc: "${cleanText(argv[0] ?? "the shell", 80)}" was not started in ${box}: ${cleanText(end.reason, 300)}`,
        "bad",
      );
      return end.code;
  }
}

function signalCode(signal: string): number {
  return 128 + SIGNALS.indexOf(signal.replace(/^SIG/, "")) + 1;
}

/** Whoever asks once for the end of what cannot hear it has their way. */
function leftFrozen({ box, why }: { readonly box: string; readonly why: string }, io: Io): number {
  io.err(`p2prc: left the command in ${box}, which is frozen: ${why}`, "bad");
  return signalCode(signalOf(io.signal));
}

/** How the sandbox is now tells what happened: the node is gone, or the sandbox has ended. */
async function cutOff(
  client: Client,
  { box, unheard }: { readonly box: string; readonly unheard: Unheard },
  io: Io,
): Promise<Failure> {
  const asking = new AbortController(); // Ctrl-C may be why we are here
  io.progress(`${box} was cut off; asking how it is`);
  try {
    const { node, sandbox, reach } = await client.box(box, asking.signal);
    const place = cleanText(node.name, 64);
    const known = await whyCut(client, node.id, { clock: io.clock, signal: asking.signal });
    if (reach === "lost") {
      return new Failure("link-lost", `${place} does not answer any more: the command was cut off${known}`, {
        hint: `the sandbox lives on until its time is over; \`p2prc ps\` shows it when ${place} is back`,
      });
    }
    if (sandbox.state === "removing") return ended(box, place, sandbox.reason);
    const state = sandbox.state === "running" ? "runs on" : `is ${sandbox.state}`;
    const why = sandbox.reason === undefined ? "" : ` (${cleanText(sandbox.reason, 200)})`;
    const what = unheard.left
      ? `nothing answered Ctrl-C ${ENOUGH} times, so it was left`
      : `the link to ${place} broke${known}`;
    return new Failure("link-lost", `${what}: the command was cut off; the sandbox ${state}${why}`, {
      hint: `start it again with \`p2prc exec ${box}\``,
    });
  } catch (error) {
    if (error instanceof Failure) return error; // it is gone, or our own daemon is
    throw error;
  }
}

function ended(box: string, place: string, reason = "it was removed"): Failure {
  return new Failure("link-lost", `${box} has ended on ${place}, and the command with it: ${cleanText(reason, 200)}`, {
    hint: "`p2prc touch` starts another; `p2prc extend` in time lets one live longer",
  });
}
