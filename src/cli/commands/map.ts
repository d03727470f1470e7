/** p2prc map: one command over many inputs, in many sandboxes at once. */

import { parseDuration, parseSize } from "../../core/light.ts";
import { type WishFlags, wishOptions } from "../boxes.ts";
import { command } from "../command.ts";
import { newJob, oldJob } from "../map/asked.ts";
import { performJob } from "../map/perform.ts";
import { printJobs, printRemoved } from "../map/jobs.ts";
import { wholeNumber } from "../options.ts";

export interface MapFlags extends WishFlags {
  readonly on?: readonly string[];
  readonly count?: number;
  readonly out?: readonly string[];
  readonly inputsFrom?: string;
  readonly null?: boolean;
  readonly args?: boolean;
  readonly slots?: number;
  readonly retries?: number;
  readonly timeout?: number;
  readonly workdir?: string;
  readonly maxSize?: number;
  readonly resume?: string;
  readonly list?: boolean;
  readonly remove?: string;
}

/** A job names its own, and has no ports. */
const wishes = wishOptions.filter(({ flags }) => !/^--(?:name|ports|near)\b/.test(flags));

export const map = command<MapFlags>({
  arguments: [
    {
      name: "[inputs...]",
      summary: "files, as names, globs and ranges ('{001..250}.pov'); - for a list on stdin",
      completes: "files",
    },
  ],
  takesCommand: true,
  options: [
    { flags: "--on <boxes>", summary: "sandboxes and groups, as in box1,farm", repeatable: true },
    {
      flags: "--count <number>",
      summary: "so many sandboxes of its own, which are removed at the end",
      parse: wholeNumber("--count", 1, 1_000),
    },
    { flags: "--near", summary: "those of its own on the nearest joined nodes that fit" },
    {
      flags: "--out <path>",
      summary: "where the output {out} of each task goes, as in '{name}.png'; a second one is {out2}",
      repeatable: true,
    },
    { flags: "--inputs-from <file>", summary: "a list of inputs, one a line" },
    { flags: "-0, --null", summary: "the list has a NUL behind each input, as of `find -print0`" },
    { flags: "--args", summary: "inputs are words, not files" },
    {
      flags: "--slots <number>",
      summary: "how many tasks at once in each sandbox (its cores)",
      parse: wholeNumber("--slots", 1, 1_000),
    },
    {
      flags: "--retries <number>",
      summary: "how often a task that failed is tried again (2)",
      parse: wholeNumber("--retries", 0, 100),
    },
    { flags: "--timeout <duration>", summary: "how long a task may take (no limit)", parse: parseDuration },
    { flags: "-w, --workdir <folder>", summary: "the folder in which tasks start (the home of the user there)" },
    { flags: "--max-size <size>", summary: "refuse an output that is larger (10G)", parse: parseSize },
    { flags: "--resume <job>", summary: "go on with a job: what is missing, no more" },
    { flags: "--list", summary: "list the jobs that there were" },
    { flags: "--remove <job>", summary: "forget a job, with what its tasks printed" },
    ...wishes,
  ],
  about: [
    "In the command and in --out, {in} is the input, {out} the output, {n} the number of the task; of `a/001.pov` {dir} is `a`, {base} `001.pov`, {name} `001` and {ext} `pov`. {{in}} is {in} as it stands. Words are handed over as they are: no shell is in between, unless the command is one.",
    "Whoever is free takes the next task. Each input travels to a sandbox once; outputs come back compared by SHA-256, and have their name only when all of them is here. What failed is tried again elsewhere, and what takes far longer than the others is done twice. Ctrl-C waits for the tasks that run, once more stops them; --resume goes on. What each task printed is kept in the job's folder.",
  ].join("\n\n"),
  examples: [
    {
      command: "p2prc map --on farm 'frames/{001..250}.pov' --out '{name}.png' -- povray +I{in} +O{out}",
      about: "render in a group",
    },
    {
      command: "p2prc map --count 5 --near --image debian:bookworm '*.wav' --out 'mp3/{name}.mp3' -- lame {in} {out}",
      about: "in five of its own",
    },
    { command: "p2prc map --on box1,box2 --args '{1..1000}' -- ./simulate --seed {in}", about: "words, not files" },
    { command: "p2prc map --resume 7f3a", about: "only what is missing" },
  ],
  json: {
    job: "its id, for --resume",
    tasks: "how many there are",
    done: "how many are done, in earlier runs too",
    failed: "how many failed",
    retried: "how many attempts were repeated",
    hedged: "how many tasks were done twice since they took long",
    tookMs: "how long this run took",
    boxes: "name, node, slots, done, failed, lost, busyMs, bytesIn, bytesOut",
    failures: "the first of them: n, input, box, why, lastWords",
    text: "the folder with what tasks printed",
    "(with --list) jobs": "id, typed, made, tasks, done, failed",
    "(with --remove) removed": "its id",
  },

  async run(input, io) {
    const { flags, home, json } = input;
    if (flags.list === true) return await printJobs({ home, json }, io);
    if (flags.remove !== undefined) return await printRemoved(flags.remove, { home, json }, io);
    const prepare = flags.resume === undefined ? newJob : oldJob;
    return await performJob(await prepare(input, io), { home, json }, io);
  },
});
