import assert from "node:assert/strict";
import { test } from "node:test";
import { HalfOpen } from "./half-open.ts";

test("one group holds few places: its oldest goes", () => {
  const lab = new Lab({ max: 8, maxPerGroup: 2 });
  for (const name of ["a1", "a2", "b1", "a3"]) assert.equal(lab.come(name), true);
  assert.deepEqual(lab.dropped, ["a1"]);
});

test("when all places are taken, the oldest of the largest group goes, not who comes", () => {
  const lab = new Lab({ max: 4, maxPerGroup: 3 });
  for (const name of ["b1", "a1", "a2", "c1", "d1", "e1"]) assert.equal(lab.come(name), true);
  assert.deepEqual(lab.dropped, ["a1", "b1"]);
});

test("a trusted crowd has all places, is not interrupted by itself, and makes room for others", () => {
  const lab = new Lab({ max: 3, maxPerGroup: 1 });
  const taken = ["t1", "t2", "t3", "t4"].map((name) => lab.come(name));
  assert.deepEqual([taken, lab.dropped], [[true, true, true, false], []]);
  assert.equal(lab.come("a1"), true);
  assert.deepEqual(lab.dropped, ["t1"]);
});

test("groups that share take from each other: the oldest of the largest one goes", () => {
  const lab = new Lab({ max: 6, maxPerGroup: 3, maxPerShare: 4 });
  for (const name of ["a1@x", "b1@x", "b2@x", "b3@x", "c1@y", "d1@x"]) lab.come(name);
  assert.deepEqual(lab.dropped, ["b1@x"]);
  for (const name of ["e1@y", "f1@z"]) lab.come(name);
  assert.deepEqual(lab.dropped, ["b1@x", "b2@x"]);
});

test("a place is free again when its holder is done", () => {
  const lab = new Lab({ max: 1, maxPerGroup: 1 });
  lab.come("a1");
  lab.done("a1");
  lab.come("a2");
  assert.deepEqual(lab.dropped, []);
});

/** Newcomers by name: the letter is the group, `t` the trusted one; what follows `@` is the share. */
class Lab {
  readonly dropped: string[] = [];
  readonly #halfOpen: HalfOpen;
  readonly #newcomers = new Map<string, Parameters<HalfOpen["add"]>[0]>();

  constructor(options: ConstructorParameters<typeof HalfOpen>[0]) {
    this.#halfOpen = new HalfOpen(options);
  }

  come(name: string): boolean {
    const group = name.slice(0, 1);
    const [, share] = name.split("@");
    const isTrusted = group === "t";
    const newcomer = {
      group,
      isTrusted,
      destroy: () => void this.dropped.push(name),
      ...(share === undefined ? {} : { share }),
    };
    this.#newcomers.set(name, newcomer);
    return this.#halfOpen.add(newcomer);
  }

  done(name: string): void {
    const newcomer = this.#newcomers.get(name);
    if (newcomer !== undefined) this.#halfOpen.delete(newcomer);
  }
}
