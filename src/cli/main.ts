/**
 * The command line, from words to an exit code. This is an edge: whatever went wrong is told here,
 * in words and a hint, and never as a stack (P2PRC_DEBUG=1 shows that of a defect).
 */

import { Failure, failures, homePath } from "../core/light.ts";
import { aboutNode } from "./about-node.ts";
import type { Command, Input } from "./command.ts";
import { commands } from "./commands.ts";
import { findCommand } from "./find-command.ts";
import { formatJson, type Io } from "./io.ts";
import { fromSeedFlags } from "./seed-flags.ts";

/** sysexits.h EX_SOFTWARE: a defect of ours. */
const DEFECT_EXIT = 70;
/** 128 + SIGINT, as shells have it. */
const INTERRUPTED_EXIT = 130;

/** @param argv without `node` and the script */
export async function main(argv: readonly string[], io: Io): Promise<number> {
  try {
    return await run(fromSeedFlags(argv), io);
  } catch (error) {
    if (io.signal.aborted) return INTERRUPTED_EXIT;
    return asksForJson(argv) ? tellProgram(error, io) : tell(error, io);
  }
}

async function run(argv: readonly string[], io: Io): Promise<number> {
  const { row, rest } = findCommand(argv, commands);
  const [command, { HelpAsked, parseWords, withExamples }] = await Promise.all([row.load(), import("./parse.ts")]);
  try {
    const { home, restart, ...words } = row.raw === true ? rawWords(rest) : parseWords(row, command, rest);
    const environment = home === undefined ? io.machine.environment : { P2PRC_HOME: home };
    const input = { ...words, commands, home: homePath(environment, io.machine.userFolder) };
    const opening: Io = restart ? { ...io, open: (options) => io.open({ ...options, daemon: "restart" }) } : io;
    const code = await runNamed(command, input, opening);
    return code ?? (io.signal.aborted ? INTERRUPTED_EXIT : 0);
  } catch (error) {
    if (!(error instanceof HelpAsked)) throw error;
    io.out(withExamples(error.text, command.examples));
    return 0;
  }
}

async function runNamed(command: Command, input: Input<unknown>, io: Io): Promise<number | void> {
  try {
    return await command.run(input, io);
  } catch (error) {
    throw command.arguments?.[0]?.completes === "nodes" ? aboutNode(error, input.args[0] ?? "") : error;
  }
}

function rawWords(words: readonly string[]) {
  return { args: words, flags: {}, json: false, home: undefined, restart: false };
}

/** Also where the words could not be read: a script that mistypes an option is a script. What follows `--` is another program's. */
function asksForJson(argv: readonly string[]): boolean {
  const dashes = argv.indexOf("--");
  return (dashes < 0 ? argv : argv.slice(0, dashes)).includes("--json");
}

/** One line on stderr, as the REST API says it. A defect is told to people, since no program can do anything about it. */
function tellProgram(error: unknown, io: Io): number {
  if (!(error instanceof Failure)) return tell(error, io);
  const { code, message, hint } = error;
  io.err(formatJson({ error: { code, message, hint } }));
  return failures[code].exit;
}

function tell(error: unknown, io: Io): number {
  if (error instanceof Failure) {
    io.err(`p2prc: ${error.message}`, "bad");
    if (error.hint !== undefined) io.err(`hint: ${error.hint}`);
    return failures[error.code].exit;
  }
  const { message, stack } = error instanceof Error ? error : new Error(String(error));
  io.err(`p2prc: something in P2PRC itself went wrong: ${message}`, "bad");
  if (io.machine.environment["P2PRC_DEBUG"] === "1") io.err(stack ?? message);
  else io.err("hint: please report it, with what P2PRC_DEBUG=1 shows; `p2prc logs` may say more");
  return DEFECT_EXIT;
}
