/**
 * A process on a pseudo-terminal of its own.
 *
 * Only the binding of node-pty is used: its own JavaScript drops what a slow reader has not yet read 200 ms after the
 * process ended.
 */

import { createRequire } from "node:module";
import { constants } from "node:os";
import { ReadStream } from "node:tty";
import type { Sleeper } from "./clock.ts";
import type { Command } from "./command.ts";
import type { Program } from "./program.ts";
import type { ExecEnd } from "./protocol.ts";
import { TerminalInput } from "./terminal-input.ts";

export interface TerminalSize {
  readonly columns: number;
  readonly rows: number;
}

/** What the terminal takes for the end of the input at the start of a line. */
const END_OF_TRANSMISSION = "\u0004";

export function startInTerminal(
  { file, args, env, cwd, identity }: Command,
  size: TerminalSize,
  sleeper: Sleeper,
): Program {
  const exit = Promise.withResolvers<ExecEnd>();
  const { uid, gid } = identity ?? { uid: -1, gid: -1 };
  const variables = Object.entries({ ...env, PWD: cwd }).map(([name, value]) => `${name}=${value}`);
  const onExit = (code: number, signal: number) =>
    exit.resolve(signal === 0 ? { kind: "exited", code } : { kind: "signalled", signal: signalName(signal) });
  const { fork, resize } = binding();
  const { fd, pid } = fork(file, args, variables, cwd, size.columns, size.rows, uid, gid, true, "", onExit);
  const terminal = new ReadStream(fd);
  const input = new TerminalInput(fd, () => !terminal.destroyed, sleeper);
  input.on("error", () => {}); // nobody has the other end any more
  terminal.on("error", () => {}); // the same (EIO); "close" follows
  terminal.once("close", () => input.destroy());
  return {
    pid,
    input,
    outputs: [{ kind: "stdout", from: terminal }],
    exited: exit.promise,
    endInput: () => void (input.destroyed || input.write(END_OF_TRANSMISSION)),
    resize: (columns, rows) => void (terminal.destroyed || resize(fd, columns, rows)),
    release: () => {
      input.destroy();
      terminal.destroy();
    },
  };
}

interface Binding {
  readonly fork: (
    ...given: readonly [
      file: string,
      args: readonly string[],
      env: readonly string[],
      cwd: string,
      columns: number,
      rows: number,
      uid: number,
      gid: number,
      utf8: boolean,
      helper: string,
      onExit: (code: number, signal: number) => void,
    ]
  ) => { readonly fd: number; readonly pid: number };
  readonly resize: (fd: number, columns: number, rows: number) => void;
}

/** Loaded with the first terminal. */
export function binding(): Binding {
  const require = createRequire(import.meta.url);
  const { requireBinary } = require("@lydell/node-pty/requireBinary.js") as {
    requireBinary: (file: string) => Binding;
  };
  return requireBinary("pty.node");
}

function signalName(number: number): string {
  const found = Object.entries(constants.signals).find(([, value]) => value === number);
  return found?.[0] ?? `SIG${number}`;
}
