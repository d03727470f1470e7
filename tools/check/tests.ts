/**
 * All tests, told as `node --test` tells them, with one summary at the end.
 *
 * Runs of Node's own runner feed its own reporter: what stands beside the source runs side by side, what has real processes
 * a few files at a time, and what measures them one file after the other. A file that fails is run again by itself, since
 * other programs share the machine; that it was is said at the end, like a skip. Skipped tests, and steps
 * of `./check` that failed before, come just before the summary, where nobody overlooks them, after the files that took longest.
 */

import { globSync } from "node:fs";
import { availableParallelism, totalmem } from "node:os";
import { relative } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { run } from "node:test";
import { spec, type TestEvent } from "node:test/reporters";
import { sweepLabs } from "../../test/lab/netns/index.ts";
import { removeTestImages } from "../../test/support/test-images.ts";
import { endChildren } from "./end-children.ts";
import { root } from "./run.ts";

export interface TestOptions {
  /** Leaves out what needs real processes and networks. */
  readonly quick: boolean;
  /** Steps that failed before: each counts as a failed test. */
  readonly failedSteps: readonly string[];
}

/** How fast, how long, under what load: two of them at once would measure each other. */
const alone = ["test/e2e/{bombs,map,nat*,network,owner-side}.test.ts", "test/lab/**/*.test.ts"];
/** Real processes, ports, engines: they wait more than they work, and each takes some 2 GiB. */
const few = ["test/e2e/**/*.test.ts"];
const FEW = totalmem() > 16 * 2 ** 30 ? 3 : 2;
const together = ["src/**/*.test.ts", "test/**/*.test.ts"];

/** What depends on time fails now and then beside other programs, a defect every time. */
const MAX_TRIES = 3;
/** A file that hangs is broken off and named. The slowest takes a fraction of this. */
const MAX_FILE_MS = 300_000;
const SLOWEST = 12;
/** And all of them together, so that whoever waits for the last line sees it. */
const MAX_MS = 75 * 60_000;

/** Prints what happens. @returns whether nothing failed */
export async function tests(options: TestOptions): Promise<boolean> {
  const report = new Report();
  await pipeline(Readable.from(events(options, report)), new spec(), process.stdout, { end: false });
  return report.ok;
}

async function* events({ quick, failedSteps }: TestOptions, report: Report): AsyncGenerator<TestEvent> {
  const beside = globSync(together, { cwd: root, exclude: [...alone, ...few] });
  yield* report.passEach(beside, availableParallelism());
  if (!quick) {
    yield* report.passEach(globSync(few, { cwd: root, exclude: alone }), FEW);
    yield* report.passEach(globSync(alone, { cwd: root }), 1);
    await removeTestImages();
  }
  for (const step of failedSteps) yield report.fail(`./check ${step}`, "it failed before the tests; see above");
  const left = await sweepLabs();
  if (left.length > 0) yield report.fail("the tests clean up", `these namespaces were left over: ${left.join(" ")}`);
  yield* report.end();
}

/** The runner's own `timeout` is for a test: it waits for ever for a process that does not end after its last one. */
async function eventsOf(file: string, deadline: AbortSignal): Promise<readonly TestEvent[]> {
  const signal = AbortSignal.any([deadline, AbortSignal.timeout(MAX_FILE_MS)]);
  const events = await Array.fromAsync(run({ files: [file], concurrency: 1, cwd: root, signal }));
  if (signal.aborted) await endChildren(file); // it was asked to already
  return events as readonly TestEvent[];
}

/** The innermost tests that failed, with why. */
function failures(events: readonly TestEvent[]): string[] {
  return events.flatMap((event) => {
    if (event.type !== "test:fail") return [];
    const error: Error & { readonly failureType?: unknown } = event.data.details.error;
    if (error.failureType === "subtestsFailed") return [];
    if (error.failureType === "testAborted")
      return ["it did not end in time: one of its tests waits, or left something open"];
    const [why] = String((error.cause as Error | undefined)?.message ?? error.message).split("\n");
    return [`"${event.data.name}": ${why}`];
  });
}

const countNames = ["tests", "suites", "passed", "failed", "cancelled", "skipped", "todo"] as const;

/** Passes events on, holds the summaries back and makes one of them. */
class Report {
  readonly #skipped: string[] = [];
  readonly #again: string[] = [];
  readonly #tookMs = new Map<string, number>();
  readonly #deadline = AbortSignal.timeout(MAX_MS);
  readonly #counts = { tests: 0, suites: 0, passed: 0, failed: 0, cancelled: 0, skipped: 0, todo: 0 };
  #topLevel = 0;
  #durationMs = 0;

  async *pass(events: AsyncIterable<TestEvent>): AsyncGenerator<TestEvent> {
    for await (const event of events) {
      if (event.type === "test:summary" && event.data.file === undefined) this.#add(event.data);
      else if (!isSummaryLine(event)) yield event;
      if (event.type === "test:pass") this.#noteSkip(event.data);
    }
  }

  /** File by file, some at a time, told in their order; those that fail again, one after the other. */
  async *passEach(files: readonly string[], atOnce: number): AsyncGenerator<TestEvent> {
    const sorted = files.toSorted();
    const outcomes = sorted.map((file) => ({ file, ...Promise.withResolvers<readonly TestEvent[]>() }));
    const waiting = outcomes.values();
    const work = async () => {
      for (const { file, resolve, reject } of waiting) {
        const begun = performance.now();
        await eventsOf(file, this.#deadline).then(resolve, reject);
        this.#tookMs.set(file, performance.now() - begun);
      }
    };
    const working = Promise.all(Array.from({ length: atOnce }, work));
    const failed: string[] = [];
    for (const { file, promise } of outcomes) {
      const events = await promise;
      if (this.#noteFailures(file, events)) failed.push(file);
      else yield* this.pass(Readable.from(events));
    }
    await working;
    for (const file of failed) yield* this.#passAgain(file);
  }

  async *#passAgain(file: string): AsyncGenerator<TestEvent> {
    for (let tries = 2; tries < MAX_TRIES; tries++) {
      const events = await eventsOf(file, this.#deadline);
      if (!this.#noteFailures(file, events)) return yield* this.pass(Readable.from(events));
    }
    yield* this.pass(Readable.from(await eventsOf(file, this.#deadline)));
  }

  #noteFailures(file: string, events: readonly TestEvent[]): boolean {
    const why = failures(events);
    this.#again.push(...why.map((text) => `${file}: ${text}`));
    return why.length > 0;
  }

  /** One more test that failed. */
  fail(name: string, why: string): TestEvent {
    this.#counts.tests++;
    this.#counts.failed++;
    const cause = Object.assign(new Error(why), { stack: why }); // where it was made tells nothing
    const error = Object.assign(new Error(why), { stack: why, cause });
    return {
      type: "test:fail",
      data: {
        name,
        nesting: 0,
        testNumber: 0,
        testId: 0,
        parentId: undefined,
        tags: [],
        details: { duration_ms: 0, type: "test", error },
      },
    };
  }

  *end(): Generator<TestEvent> {
    const slowest = [...this.#tookMs].toSorted(([, a], [, b]) => b - a).slice(0, SLOWEST);
    for (const [file, ms] of slowest) yield line(`slowest: ${file}: ${Math.round(ms / 1_000)} s`);
    for (const test of this.#again) yield line(`RUN AGAIN, since it failed: ${test}`);
    for (const test of this.#skipped) yield line(`SKIPPED ${test}`);
    const { tests, suites, passed, failed, cancelled, skipped, todo } = this.#counts;
    const numbers = {
      tests,
      suites,
      pass: passed,
      fail: failed,
      cancelled,
      skipped,
      todo,
      duration_ms: this.#durationMs,
    };
    for (const [name, value] of Object.entries(numbers)) yield line(`${name} ${value}`);
    const counts = { ...this.#counts, topLevel: this.#topLevel };
    yield { type: "test:summary", data: { success: this.ok, counts, duration_ms: this.#durationMs, file: undefined } };
  }

  get ok(): boolean {
    return this.#counts.failed + this.#counts.cancelled === 0 && this.#counts.tests > 0;
  }

  #add({ counts, duration_ms }: Extract<TestEvent, { type: "test:summary" }>["data"]): void {
    this.#topLevel += counts.topLevel;
    this.#durationMs += duration_ms;
    const all: Readonly<Record<string, number>> = { ...counts }; // its type lacks `failed`
    for (const key of countNames) this.#counts[key] += all[key] ?? 0;
  }

  #noteSkip({ skip, file, name }: Extract<TestEvent, { type: "test:pass" }>["data"]): void {
    if (skip === undefined || skip === false) return;
    const where = file === undefined ? "" : `${relative(root, file)}: `;
    this.#skipped.push(`${where}${name}${typeof skip === "string" ? ` (${skip})` : ""}`);
  }
}

function isSummaryLine(event: TestEvent): boolean {
  if (event.type !== "test:diagnostic" || event.data.file !== undefined) return false;
  return /^(?:tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) [\d.]+$/.test(event.data.message);
}

function line(message: string): TestEvent {
  return { type: "test:diagnostic", data: { nesting: 0, message, level: "info" } };
}
