/** What the callback tells: read as a stranger's, since a plugin may write there too. */

import { Type, type Static } from "typebox";
import { Compile } from "typebox/compile";

const Host = Type.String({ maxLength: 64 });
const Words = Type.String({ maxLength: 20_000 });
const Name = Type.String({ maxLength: 2_000 });
const Task = Type.Integer({ minimum: 0, maximum: 1_000_000 });

const PlaybookEvent = Type.Union([
  Type.Object({
    kind: Type.Literal("task"),
    task: Task,
    name: Name,
    /** The one to begin at, to come by here again: what stands in the playbook itself. Empty: nothing but the first. */
    start: Name,
  }),
  Type.Object({ kind: Type.Literal("started"), host: Host, task: Task }),
  Type.Object({
    kind: Type.Enum(["ok", "skipped", "ignored", "failed", "unreachable"]),
    host: Host,
    task: Task,
    changed: Type.Boolean(),
    code: Type.Union([Type.Integer(), Type.Null()]),
    words: Words,
  }),
  Type.Object({ kind: Type.Literal("diff"), host: Host, words: Words }),
  Type.Object({ kind: Type.Literal("host"), host: Host, done: Type.Boolean(), changed: Type.Integer() }),
]);
export type PlaybookEvent = Static<typeof PlaybookEvent>;

const compiled = Compile(PlaybookEvent);

/** Undefined: it is none. */
export function readEvent(line: string): PlaybookEvent | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return compiled.Check(value) ? value : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
