import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { type Attempt, Schedule } from "./schedule.ts";

describe("a schedule", () => {
  test("gives the next task to who asks, and ahead only while there are many", () => {
    const world = new World({ tasks: 6, boxes: { a: 1, b: 1 } });
    assert.deepEqual(world.takeAll("a"), [0, 1]);
    assert.deepEqual(world.takeAll("b"), [2, 3]);
    world.finish("a", 0);
    assert.deepEqual(world.takeAll("a"), [], "two are left for two slots");
    world.finish("a", 1);
    assert.deepEqual(world.takeAll("a"), [4]);
  });

  test("gives short tasks many at a time, long ones one by one, and keeps none back at the end", () => {
    const world = new World({ tasks: 100, boxes: { a: 1, b: 1 }, maxAhead: 8 });
    assert.deepEqual(world.takeAll("a"), [0, 1], "of the first nothing is known");
    world.finishes("a", 10, 4);
    assert.equal(world.held("a").length, 9);
    world.finishes("a", 3, 4);
    assert.equal(world.held("a").length, 6, "it has enough yet");
    world.finishes("a", 1, 4);
    assert.equal(world.held("a").length, 9);
    world.finishes("a", 20, 400);
    assert.equal(world.held("a").length, 2);
    const few = new World({ tasks: 20, boxes: { a: 1, b: 1 }, maxAhead: 8 });
    few.takeAll("a");
    few.finishes("a", 12, 4);
    assert.equal(few.held("a").length, 1, "of few none is given ahead");
  });

  test("tries what failed elsewhere first, as often as it may", () => {
    const world = new World({ tasks: 1, boxes: { a: 1, b: 1 }, retries: 2 });
    world.takeAll("a");
    assert.equal(world.fail("a", 0), "open");
    assert.deepEqual(world.takeAll("a"), []);
    assert.deepEqual(world.takeAll("b"), [0]);
    assert.equal(world.fail("b", 0), "open");
    assert.deepEqual(world.takeAll("a"), [0], "it has failed everywhere: anybody may try");
    assert.equal(world.fail("a", 0), "failed");
    assert.ok(world.schedule.over);
    assert.equal(world.schedule.retried, 2);
  });

  test("does not try again what would fail again", () => {
    const world = new World({ tasks: 1, boxes: { a: 1 } });
    world.takeAll("a");
    assert.equal(world.schedule.failed(world.attempt("a", 0), { forGood: true }).kind, "failed");
    assert.ok(world.schedule.over);
  });

  test("gives the tasks of a lost box to the others, and up on one that takes its box with it", () => {
    const world = new World({ tasks: 1, boxes: { a: 1, b: 1 }, retries: 0 });
    for (const box of ["a", "b"]) {
      world.takeAll(box);
      assert.equal(world.lose(box, 0, true), "open");
    }
    world.takeAll("a");
    assert.equal(world.lose("a", 0, false), "open", "it had not begun: that was not its doing");
    assert.equal(world.schedule.retried, 2, "nor was it tried");
    world.takeAll("a");
    assert.equal(world.lose("a", 0, true), "failed");
  });

  test("lets who is free take over what was only given ahead", () => {
    const world = new World({ tasks: 4, boxes: { a: 1, b: 1 } });
    assert.deepEqual(world.takeAll("a"), [0, 1]);
    assert.deepEqual(world.takeAll("b"), [2]);
    const ahead = world.attempt("a", 1);
    world.finish("b", 2);
    assert.deepEqual(world.takeAll("b"), [3]);
    world.finish("b", 3);
    assert.deepEqual(world.takeAll("b"), [1]);
    assert.ok(ahead.signal.aborted);
    world.schedule.calledOff(ahead);
    world.finish("b", 1);
    assert.ok(!world.schedule.over);
    world.finish("a", 0);
    assert.ok(world.schedule.over);
  });

  test("repeats what takes far longer than the others, and the first result counts", () => {
    const world = new World({ tasks: 4, boxes: { a: 1, b: 1 } });
    world.takeAll("a");
    world.takeAll("b");
    world.schedule.started(world.attempt("a", 0), 0);
    world.now = 1_000;
    for (const n of [2, 3, 1]) {
      world.takeAll("b");
      world.finish("b", n, 1_000);
    }
    world.schedule.calledOff(world.attempt("a", 1)); // it was taken over
    world.now = 1_900;
    assert.deepEqual(world.takeAll("b"), [], "not yet");
    world.now = 2_100;
    assert.deepEqual(world.takeAll("b"), [0]);
    assert.equal(world.schedule.hedged, 1);
    const slow = world.attempt("a", 0);
    assert.ok(world.schedule.claim(world.attempt("b", 0)));
    assert.ok(slow.signal.aborted);
    assert.equal(world.schedule.claim(slow), false, "while the first one is put into its place");
    world.schedule.done(world.attempt("b", 0), 10);
    assert.equal(world.schedule.claim(slow), false);
    assert.ok(!world.schedule.over);
    world.schedule.calledOff(slow);
    assert.ok(world.schedule.over);
  });

  test("starts nothing more once it is drained, and calls off what has not begun", () => {
    const world = new World({ tasks: 9, boxes: { a: 2 } });
    world.takeAll("a");
    world.schedule.started(world.attempt("a", 0), 0);
    world.schedule.drain();
    assert.deepEqual(world.takeAll("a"), []);
    assert.equal(world.attempt("a", 0).signal.aborted, false);
    for (const n of [1, 2, 3]) {
      assert.ok(world.attempt("a", n).signal.aborted);
      world.schedule.calledOff(world.attempt("a", n));
    }
    assert.ok(!world.schedule.over);
    world.finish("a", 0);
    assert.ok(world.schedule.over);
  });

  test("does each task once, whatever happens to boxes and attempts", () => {
    const step = fc.record({
      box: fc.constantFrom("a", "b", "c"),
      what: fc.constantFrom("done", "fail", "lose", "take", "take"),
      pick: fc.nat(9),
    });
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 12 }), fc.array(step, { maxLength: 150 }), (tasks, steps) => {
        const world = new World({ tasks, boxes: { a: 1, b: 2, c: 3 }, retries: 1 });
        for (const { box, what, pick } of steps) world.step(box, what, pick);
        for (let turn = 0; turn < 10 * (tasks + 1) && !world.schedule.over; turn++) world.tidy();
        assert.ok(world.schedule.over);
        assert.deepEqual(
          [...world.results.keys(), ...world.failedTasks].sort((x, y) => x - y),
          Array.from({ length: tasks }, (_, n) => n),
        );
        assert.ok([...world.results.values()].every((times) => times === 1));
      }),
    );
  });

  test("keeps nothing of tasks that are over", () => {
    const world = new World({ tasks: 100_000, boxes: { a: 4 } });
    const before = process.memoryUsage().heapUsed;
    for (let done = 0; done < 100_000; ) {
      for (const n of world.takeAll("a")) {
        world.finish("a", n);
        done++;
      }
    }
    assert.ok(world.schedule.over);
    assert.ok(process.memoryUsage().heapUsed - before < 64 * 2 ** 20);
  });
});

/** Boxes that do what a test says. */
class World {
  readonly schedule: Schedule;
  readonly results = new Map<number, number>();
  readonly failedTasks: number[] = [];
  now = 0;
  #held: Attempt[] = [];

  constructor({
    tasks,
    boxes,
    retries = 2,
    ...options
  }: {
    readonly tasks: number;
    readonly boxes: Record<string, number>;
    readonly retries?: number;
    readonly maxAhead?: number;
  }) {
    const todo = Array.from({ length: tasks }, (_, n) => n);
    this.schedule = new Schedule({ todo, count: tasks, retries, boxes: Object.keys(boxes), ...options });
    for (const [name, slots] of Object.entries(boxes)) this.schedule.present(name, slots);
  }

  /** As much as a box is given now. */
  takeAll(box: string): readonly number[] {
    const taken: number[] = [];
    for (let attempt = this.#take(box); attempt !== undefined; attempt = this.#take(box)) taken.push(attempt.n);
    return taken;
  }

  /** One after the other, and takes what it is given then. */
  finishes(box: string, count: number, ms: number): void {
    for (let done = 0; done < count; done++) {
      for (const n of this.held(box).slice(0, 1)) this.finish(box, n, ms);
      this.takeAll(box);
    }
  }

  /** What a box has, the first given first. */
  held(box: string): readonly number[] {
    return this.#held.filter((one) => one.box === box).map(({ n }) => n);
  }

  attempt(box: string, n: number): Attempt {
    const found = this.#held.find((one) => one.box === box && one.n === n);
    if (found === undefined) throw new Error(`${box} has no attempt at ${n}`);
    return found;
  }

  finish(box: string, n: number, ms = 10): void {
    this.#finish(this.attempt(box, n), ms);
  }

  fail(box: string, n: number): string {
    return this.schedule.failed(this.#drop(this.attempt(box, n)), { forGood: false }).kind;
  }

  lose(box: string, n: number, started: boolean): string {
    return this.schedule.lost(this.#drop(this.attempt(box, n)), { started }).kind;
  }

  step(box: string, what: string, pick: number): void {
    this.now += 400;
    const mine = this.#held.filter((one) => one.box === box);
    const attempt = mine[pick % Math.max(1, mine.length)];
    if (what === "take") this.takeAll(box);
    else if (attempt !== undefined) this.#end(attempt, what);
  }

  /** Everybody takes what there is, and does it. */
  tidy(): void {
    this.now += 5_000;
    for (const box of ["a", "b", "c"]) this.takeAll(box);
    for (const attempt of this.#held) this.#end(attempt, "done");
  }

  #take(box: string): Attempt | undefined {
    const attempt = this.schedule.take(box, this.now);
    if (attempt !== undefined) this.#held.push(attempt);
    return attempt;
  }

  #end(attempt: Attempt, what: string): void {
    if (attempt.signal.aborted) this.schedule.calledOff(this.#drop(attempt));
    else if (what === "done") this.#finish(attempt, 10);
    else {
      this.#drop(attempt);
      const settled =
        what === "fail"
          ? this.schedule.failed(attempt, { forGood: false })
          : this.schedule.lost(attempt, { started: true });
      if (settled.kind === "failed") this.failedTasks.push(attempt.n);
    }
  }

  #finish(attempt: Attempt, ms: number): void {
    this.#drop(attempt);
    if (this.schedule.claim(attempt)) {
      this.results.set(attempt.n, (this.results.get(attempt.n) ?? 0) + 1);
      this.schedule.done(attempt, ms);
    } else this.schedule.calledOff(attempt);
  }

  #drop(attempt: Attempt): Attempt {
    this.#held = this.#held.filter((one) => one !== attempt);
    return attempt;
  }
}
