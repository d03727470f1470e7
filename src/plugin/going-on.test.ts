import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { goOn, leftAfter } from "./going-on.ts";
import { Progress } from "./progress.ts";
import type { Run } from "./run-book.ts";

const TASKS = ["Gathering Facts", "one", "two", "three", "four"];

describe("going on with a run", () => {
  test("begins at the first task that one of those needs which are worked on now", () => {
    const run = ran({ one: "two", two: "four", dead: "Gathering Facts" });
    assert.deepEqual(begun(run, "one", "two", "dead"), "Gathering Facts");
    assert.deepEqual(begun(run, "one", "two"), "two"); // the other one is no sandbox any more
    assert.deepEqual(begun(run, "two"), "four");
  });

  test("leaves what was not worked on where it was", () => {
    const run = ran({ one: "two", two: "four" }, { before: ran({ one: "three", dead: "one" }), startAt: "two" });
    assert.deepEqual(run.unfinished, ["dead", "one", "two"]);
    assert.deepEqual(run.startAt, { dead: "one", one: "two", two: "four" });
    assert.deepEqual(run.targets, ["one", "dead", "two"]);
  });

  test("knows the order of all tasks from all runs before", () => {
    const first = ran({ one: "two", two: "four" });
    const short = ran({ two: "Gathering Facts" }, { before: first, startAt: "four", reached: ["Gathering Facts"] });
    assert.deepEqual(short.order, TASKS);
    assert.deepEqual(short.startAt, { one: "two", two: "four" }); // facts are gathered before any task
    assert.equal(begun(short, "one", "two"), "two");
  });

  test("begins anew with a plugin that has changed, and where a sandbox has begun nothing", () => {
    const before = ran({ one: "two", two: undefined });
    assert.deepEqual(begun(before, "one"), "two");
    assert.deepEqual(begun(before, "one", "two"), undefined);
    assert.deepEqual(goOn(before, { plugin: { digest: "new" }, targets: [{ id: "one" }] }).startAt, undefined);
    const changed = ran({ two: "four" }, { before, digest: "new", reached: ["four"] });
    assert.deepEqual([changed.startAt, changed.order], [{ two: "four" }, ["four"]]);
  });

  test("takes up nothing that was finished, and everything where there was no run", () => {
    const targets = [{ id: "one" }, { id: "two" }];
    assert.deepEqual(goOn(ran({ one: "two" }), { plugin: { digest: "d" }, targets }).targets, [{ id: "one" }]);
    assert.deepEqual(goOn(undefined, { plugin: { digest: "d" }, targets }), { targets, startAt: undefined });
  });
});

interface Past {
  readonly before?: Run;
  readonly startAt?: string;
  readonly digest?: string;
  readonly reached?: readonly string[];
}

/** A run after which these are left, each at its task. */
function ran(
  left: Readonly<Record<string, string | undefined>>,
  { before, startAt, digest = "d", reached = TASKS }: Past = {},
): Run {
  const progress = new Progress(Object.keys(left));
  for (const [task, name] of reached.entries()) {
    progress.take({ kind: "task", task, name, start: name });
    for (const [host, at] of Object.entries(left)) {
      if (at === name) progress.take({ kind: "started", host, task });
    }
  }
  const targets = Object.keys(left).map((id) => ({ id, name: id }));
  const rest = leftAfter({ plugin: { digest }, targets, before, startAt }, progress);
  return { id: "r", plugin: "p", digest, values: {}, ...rest };
}

function begun(run: Run, ...ids: readonly string[]): string | undefined {
  return goOn(run, { plugin: { digest: "d" }, targets: ids.map((id) => ({ id })) }).startAt;
}
