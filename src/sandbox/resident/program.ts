/** A process that was started inside, with its ends in our hands: of pipes, or of a pseudo-terminal. */

import { spawn } from "node:child_process";
import { once } from "node:events";
import type { Readable, Writable } from "node:stream";
import { type Command, type Refused, refusedBy } from "./command.ts";
import type { ExecEnd } from "./protocol.ts";

export interface Program {
  /** It leads a session of its own. */
  readonly pid: number;
  readonly input: Writable;
  readonly outputs: readonly { readonly kind: "stdout" | "stderr"; readonly from: Readable }[];
  /** Resolves, never rejects, when the process itself is gone; what it started may still write. */
  readonly exited: Promise<ExecEnd>;
  /** Its standard input ends. */
  endInput(): void;
  resize(columns: number, rows: number): void;
  /** Lets go of its ends: with a terminal that is a hang-up. */
  release(): void;
}

export function isProgram(value: Program | Refused): value is Program {
  return "pid" in value;
}

export async function startPiped({ file, args, env, cwd, identity }: Command): Promise<Program | Refused> {
  const child = spawn(file, args, { env, cwd, ...identity, detached: true, stdio: ["pipe", "pipe", "pipe"] });
  const exited = once(child, "exit").then(([code, signal]) => endOf(code as number | null, signal as string | null));
  exited.catch(() => undefined); // "error" before "exit": it never started
  try {
    await once(child, "spawn");
  } catch (error) {
    return refusedBy(error);
  }
  const { stdin, stdout, stderr, pid = 0 } = child;
  stdin.on("error", () => {}); // it closed its input: nothing is owed to it any more
  return {
    pid,
    input: stdin,
    outputs: [
      { kind: "stdout", from: stdout },
      { kind: "stderr", from: stderr },
    ],
    exited,
    endInput: () => void stdin.end(),
    resize: () => {},
    release: () => {
      for (const end of [stdin, stdout, stderr]) end.destroy();
    },
  };
}

function endOf(code: number | null, signal: string | null): ExecEnd {
  return signal === null ? { kind: "exited", code: code ?? 0 } : { kind: "signalled", signal };
}
