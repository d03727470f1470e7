/** A job, as it was asked for, and the tasks that it consists of. */

import { basename, resolve } from "node:path";
import { cleanText, Failure } from "../core/light.ts";
import { fillWord, type Placeholder, placeholdersIn, valuesOf } from "./placeholders.ts";

/** Written down with the job, so that it can be gone on with. */
export interface JobSpec {
  readonly argv: readonly string[];
  /** Patterns of what each task leaves here. */
  readonly outs: readonly string[];
  /** Whether inputs are files. Else they are words. */
  readonly files: boolean;
  /** From which paths here lead. */
  readonly cwd: string;
  /** The folder in which tasks start. @default the home */
  readonly workdir?: string | undefined;
  readonly timeoutMs?: number | undefined;
  readonly retries: number;
  /** How many run at once in each sandbox. @default its cores */
  readonly slots?: number | undefined;
  /** Of one output. */
  readonly maxBytes: number;
}

export interface Task {
  /** From 0. */
  readonly n: number;
  /** As it was named. */
  readonly input: string;
  /** Absolute. Undefined where the input is a word. */
  readonly path: string | undefined;
  /** Absolute. */
  readonly outs: readonly string[];
}

/** @throws {Failure} bad-argument, conflict */
export function checkPlan(spec: JobSpec, inputs: readonly string[]): void {
  const { argv, outs, files } = spec;
  if (argv.length === 0)
    throw new Failure("bad-argument", "there is no command", { hint: "write it behind `--`: p2prc map … -- COMMAND" });
  const used = placeholdersIn(argv);
  if (files && !used.has("in"))
    throw new Failure("bad-argument", "the command does not name {in}: its inputs would be of no use", {
      hint: "write {in} where the file belongs, or add --args where inputs are only words",
    });
  for (const name of used) if (name.startsWith("out")) checkOut(name, outs.length);
  for (const at of outs.keys()) {
    if (!used.has(outName(at)))
      throw new Failure("bad-argument", `the command does not name {${outName(at)}}, so nothing would come back`, {
        hint: "write it where the path of the output belongs; what tasks print is kept anyhow",
      });
  }
  checkDistinct(spec, inputs);
}

export function taskOf(spec: JobSpec, inputs: readonly string[], n: number): Task {
  const input = inputs[n];
  if (input === undefined) throw new RangeError(`there is no task ${n}`);
  const values = { in: input, ...valuesOf(input, n + 1) };
  const outs = spec.outs.map((pattern) => resolve(spec.cwd, fillWord(pattern, values)));
  return { n, input, path: spec.files ? resolve(spec.cwd, input) : undefined, outs };
}

/** The words of a task's command. @param folder of the task, in the sandbox */
export function argvOf(spec: JobSpec, task: Task, folder: string): readonly string[] {
  const outs = task.outs.map((path, at) => [outName(at), `${folder}/out/${farName(path, at)}`] as const);
  const values = {
    ...valuesOf(task.input, task.n + 1),
    in: task.path === undefined ? task.input : `${folder}/in/${basename(task.path)}`,
    ...Object.fromEntries(outs),
  };
  return spec.argv.map((word) => fillWord(word, values));
}

/** Under which name a task leaves it: two of one task may have the same in different folders here. */
export function farName(path: string, at: number): string {
  return at === 0 ? basename(path) : `${at + 1}-${basename(path)}`;
}

function outName(at: number): Placeholder {
  return at === 0 ? "out" : `out${at + 1}`;
}

function checkOut(name: string, count: number): void {
  const at = name === "out" ? 1 : Number(name.slice(3));
  if (at >= 1 && at <= count && name === outName(at - 1)) return;
  throw new Failure("bad-argument", `the command names {${name}}, but there is no such --out`, {
    hint: "say where it goes here, as in --out '{name}.png'",
  });
}

/** Two that write the same file would leave one of them, nobody knows which; and one that is an input would be gone. */
function checkDistinct(spec: JobSpec, inputs: readonly string[]): void {
  if (spec.outs.length === 0) return;
  const taken = new Map<string, number>();
  for (const [n] of inputs.entries())
    for (const path of taskOf(spec, inputs, n).outs) {
      const other = taken.get(path);
      if (other !== undefined) throw sameOut(path, other === n ? [n] : [other, n], inputs);
      taken.set(path, n);
    }
  if (!spec.files) return;
  const overwritten = inputs.find((input) => taken.has(resolve(spec.cwd, input)));
  if (overwritten === undefined) return;
  throw new Failure("conflict", `an output would overwrite the input "${cleanText(overwritten, 120)}"`, {
    hint: "choose another name or folder with --out",
  });
}

function sameOut(path: string, tasks: readonly number[], inputs: readonly string[]): Failure {
  const names = tasks.map((n) => `"${cleanText(inputs[n] ?? "", 80)}"`).join(" and ");
  return new Failure("conflict", `the output "${cleanText(path, 120)}" is written twice, by ${names}`, {
    hint: "use {n}, {dir} or another placeholder in --out, so that each has its own",
  });
}
