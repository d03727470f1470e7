import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { commands } from "../../src/cli/commands.ts";
import { bubblewrapSkip } from "../support/bubblewrap-world.ts";
import { Machines } from "../support/machines.ts";
import { compare, type Memory, parseTranscript, recall, splitWords, type Typed } from "../support/transcript.ts";

const folder = join(import.meta.dirname, "../transcripts");
const files = readdirSync(folder).filter((name) => name.endsWith(".txt"));

describe("transcripts", { timeout: 240_000 }, () => {
  for (const file of files) {
    test(`${file} is what happens`, { skip: file === "sandboxes.txt" && bubblewrapSkip() }, async () => {
      await using session = await Session.open();
      for (const typed of parseTranscript(readFileSync(join(folder, file), "utf8"))) await session.type(typed, file);
    });
  }

  test("show every command", () => {
    const typed = files.flatMap((file) => parseTranscript(readFileSync(join(folder, file), "utf8")));
    const shown = new Set(typed.flatMap(({ command }) => splitWords(command)));
    const missing = commands.filter(({ name, hidden }) => hidden !== true && name !== "demo" && !shown.has(name)); // demo has a test of its own
    assert.deepEqual(
      missing.map(({ name }) => name),
      [],
    );
  });
});

/** Somebody who types, and remembers what was printed. */
class Session implements AsyncDisposable {
  readonly #machines: Machines;
  readonly #memory: Memory = new Map();

  static async open(): Promise<Session> {
    return new Session(await Machines.open());
  }

  private constructor(machines: Machines) {
    this.#machines = machines;
  }

  async type(typed: Typed, file: string): Promise<void> {
    const { exit, lines } = await this.#run(typed);
    const shown = lines
      .map((line) => line.replaceAll(this.#machines.folder, ""))
      .filter((line) => !isOfThisMachine(line));
    const difference = compare(typed.expected, shown, this.#memory);
    const where = `test/transcripts/${file}:${typed.line}  ${typed.machine}$ ${typed.command}`;
    assert.equal(difference, undefined, `${where}\n${difference}\nall of it:\n${shown.join("\n")}`);
    assert.equal(exit, typed.exit, `${where}: the exit code\n${shown.join("\n")}`);
  }

  async #run({
    machine,
    command,
    expected,
  }: Typed): Promise<{ readonly exit: number; readonly lines: readonly string[] }> {
    if (command === "^C") return await this.#machines.interrupt(machine);
    const [program, ...words] = splitWords(recall(command.replace(/ &$/, ""), this.#memory));
    assert.equal(program, "p2prc");
    if (!command.endsWith(" &")) return await this.#machines.run(machine, words);
    const running = await this.#machines.leaveRunning(machine, words);
    const enough = (lines: readonly string[]) =>
      compare(
        expected,
        lines.filter((line) => !isOfThisMachine(line)),
        new Map(this.#memory),
      ) === undefined;
    return { exit: 0, lines: await running.until(enough) };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#machines[Symbol.asyncDispose]();
  }
}

/** Said on some machines only: of being root, and of progress, where something takes over a second. Empty lines do not count. */
function isOfThisMachine(line: string): boolean {
  return line === "" || line.startsWith("warning: the daemon runs as root") || PROGRESS.test(line);
}

const PROGRESS =
  /^(?:(?:re)?starting the daemon|waiting for|reaching|asking|opening port|publishing port|removing|reading) ?|^\S+ (?:has room for it|fetches .*|starts it|checks its walls)$/;
