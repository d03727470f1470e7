/** From the words of `p2prc map` to a job: a new one, or one that is to be gone on with. */

import { createReadStream } from "node:fs";
import { resolve } from "node:path";
import type { Readable } from "node:stream";
import { cleanText, Failure } from "../../core/light.ts";
import type { Job, JobSpec, Where } from "../../job/index.ts";
import { checkPlan, createJob, findInputs, openJob } from "../../job/light.ts";
import { wishOf } from "../boxes.ts";
import type { Input } from "../command.ts";
import type { MapFlags } from "../commands/map.ts";
import type { Io } from "../io.ts";

const RETRIES = 2;
/** What one output may take of this machine's disk, unless it is said. */
const MAX_OUTPUT_BYTES = 10 * 2 ** 30;

/** @throws {Failure} bad-argument, not-found, conflict, too-large */
export async function newJob({ args, rest = [], flags, home }: Input<MapFlags>, io: Io): Promise<Job> {
  const where = whereOf(flags);
  if (where === undefined)
    throw new Failure("bad-argument", "where are they to run?", {
      hint: "name sandboxes or a group with --on, or let it make some with --count 3 --near",
    });
  const cwd = resolve(".");
  const files = flags.args !== true;
  const words = args.filter((word) => word !== "-");
  io.progress("looking at the inputs");
  const inputs = await findInputs({ words, lines: linesOf(args, flags, io), files, cwd });
  const spec: JobSpec = {
    argv: rest,
    outs: flags.out ?? [],
    files,
    cwd,
    workdir: flags.workdir,
    timeoutMs: flags.timeout,
    retries: flags.retries ?? RETRIES,
    slots: flags.slots,
    maxBytes: flags.maxSize ?? MAX_OUTPUT_BYTES,
  };
  await checkPlan(spec, inputs);
  const typed = cleanText([...args, "--", ...rest].join(" "), MAX_TYPED);
  return await createJob(home, { spec, where, typed, inputs }, io.clock.wallTime());
}

/** Enough to know it again in a list. */
const MAX_TYPED = 200;

/** @throws {Failure} not-found, bad-argument */
export async function oldJob({ args, rest, flags, home }: Input<MapFlags>): Promise<Job> {
  if (args.length > 0 || rest !== undefined)
    throw new Failure("bad-argument", "a job that is gone on with has its inputs and its command already", {
      hint: "leave them out; --on and --count may say where to go on",
    });
  const job = await openJob(home, flags.resume ?? "");
  const where = whereOf(flags) ?? job.where;
  return { ...job, where, spec: { ...job.spec, slots: flags.slots ?? job.spec.slots } };
}

/** @throws {Failure} bad-argument */
function whereOf(flags: MapFlags): Where | undefined {
  const { on, count } = flags;
  const own = count !== undefined || flags.near === true;
  if (on !== undefined && own)
    throw new Failure(
      "bad-argument",
      "--on names sandboxes that are there, --count and --near make new ones: choose one",
    );
  if (on !== undefined) {
    const names = on.flatMap((word) => word.split(",")).filter((name) => name !== "");
    if (names.length === 0) throw new Failure("bad-argument", "--on names no sandbox");
    return { kind: "on", names };
  }
  return own ? { kind: "own", count: count ?? 1, request: { ...wishOf(flags), near: true } } : undefined;
}

function linesOf(
  args: readonly string[],
  { inputsFrom, null: nul }: MapFlags,
  io: Io,
): AsyncIterable<string> | undefined {
  const piped = args.includes("-");
  const separator = nul === true ? "\0" : "\n";
  if (inputsFrom === undefined && !piped) {
    if (nul !== true) return undefined;
    throw new Failure("bad-argument", "--null is about a list of inputs: name one with - or --inputs-from");
  }
  if (inputsFrom !== undefined && piped)
    throw new Failure("bad-argument", "inputs come from --inputs-from or from stdin (-), not from both");
  return inputsFrom === undefined || inputsFrom === "-"
    ? linesIn(io.streams.stdin, { list: "stdin", separator })
    : linesIn(createReadStream(inputsFrom), { list: inputsFrom, separator });
}

interface List {
  /** For messages. */
  readonly list: string;
  readonly separator: "\n" | "\0";
}

/** @throws {Failure} not-found, too-large */
async function* linesIn(stream: Readable, { list, separator }: List): AsyncGenerator<string> {
  const place = `the list "${cleanText(list, 120)}"`;
  const asTyped = (line: string) => (separator === "\n" ? line.replace(/\r$/, "") : line);
  let rest = "";
  try {
    for await (const piece of stream.setEncoding("utf8") as AsyncIterable<string>) {
      const lines = piece.split(separator);
      lines[0] = rest + (lines[0] ?? "");
      rest = lines.pop() ?? "";
      if (rest.length > MAX_LINE) throw new Failure("too-large", `a line of ${place} has no end`);
      yield* lines.map(asTyped);
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (error instanceof Failure || code === undefined) throw error;
    throw new Failure("not-found", `cannot read ${place} (${code})`, { cause: error });
  }
  yield asTyped(rest);
}

/** More than the words of a command may have. */
const MAX_LINE = 2 ** 21;
