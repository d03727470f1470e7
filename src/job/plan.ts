/** A job, as it was asked for, and the tasks that it consists of. */

import { realpath } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
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
export async function checkPlan(spec: JobSpec, inputs: readonly string[]): Promise<void> {
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
  await checkDistinct(spec, inputs);
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
async function checkDistinct(spec: JobSpec, inputs: readonly string[]): Promise<void> {
  if (spec.outs.length === 0) return;
  const places = new Places();
  const taken = new Map<string, number>();
  for (const [n] of inputs.entries())
    for (const path of taskOf(spec, inputs, n).outs) {
      const place = await places.of(path);
      const other = taken.get(place);
      if (other !== undefined) throw sameOut(path, other === n ? [n] : [other, n], inputs);
      taken.set(place, n);
    }
  if (!spec.files) return;
  for (const input of inputs) {
    const path = resolve(spec.cwd, input);
    if (taken.has(await places.of(path)) || taken.has(await targetOf(path)))
      throw new Failure("conflict", `an output would overwrite the input "${cleanText(input, 120)}"`, {
        hint: "choose another name or folder with --out",
      });
  }
}

/** Where paths lead whose folders may be links: each folder is looked at once. */
class Places {
  readonly #folders = new Map<string, string>();

  async of(path: string): Promise<string> {
    return join(await this.#folder(dirname(path)), basename(path));
  }

  /** One that is not there yet will be made where the one above it leads. */
  async #folder(path: string): Promise<string> {
    const known = this.#folders.get(path);
    if (known !== undefined) return known;
    const real = await realpath(path).catch(() => undefined);
    const found = real ?? (dirname(path) === path ? path : join(await this.#folder(dirname(path)), basename(path)));
    this.#folders.set(path, found);
    return found;
  }
}

/** An input may be a link itself. */
async function targetOf(path: string): Promise<string> {
  return await realpath(path).catch(() => path);
}

function sameOut(path: string, tasks: readonly number[], inputs: readonly string[]): Failure {
  const names = tasks.map((n) => `"${cleanText(inputs[n] ?? "", 80)}"`).join(" and ");
  return new Failure("conflict", `the output "${cleanText(path, 120)}" is written twice, by ${names}`, {
    hint: "use {n}, {dir} or another placeholder in --out, so that each has its own",
  });
}
