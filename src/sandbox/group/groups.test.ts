import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { describe, test } from "node:test";
import { VirtualClock } from "../../../test/support/virtual-clock.ts";
import { seededRandom, Topic } from "../../base/index.ts";
import { Failure } from "../../core/index.ts";
import type { BoxChange } from "../box/boxes.ts";
import type { Box } from "../contract.ts";
import type { GroupBookOptions } from "./group-book.ts";
import { Groups } from "./groups.ts";

describe("groups", () => {
  test("hold sandboxes in the order in which they were added, each once, over a restart", () => {
    const lab = new Lab("box1", "box2", "box3");
    const { id } = lab.groups.create({ name: "farm", boxes: ["box2"] });
    lab.groups.add("farm", ["box1", "box2", "box3"]);
    assert.match(id, /^grp[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    assert.deepEqual(lab.membersOf("farm", lab.reopen()), ["box2", "box1", "box3"]);
    assert.deepEqual(lab.membersOf(id), ["box2", "box1", "box3"]);
  });

  test("are found by the start of a name, unless a sandbox may be meant as well", () => {
    const lab = new Lab();
    lab.groups.create({ name: "farm" });
    lab.groups.create({ name: "field" });
    assert.equal(lab.groups.show("fa", { exact: false }).name, "farm");
    assert.throws(() => lab.groups.show("f", { exact: false }), { code: "ambiguous" });
    assert.throws(() => lab.groups.show("fa", { exact: true }), { code: "not-found" });
    assert.throws(() => lab.groups.show("", { exact: false }), { code: "ambiguous" });
  });

  test("have names that no sandbox and no other group has", () => {
    const lab = new Lab("box1");
    lab.groups.create({ name: "farm" });
    assert.throws(() => lab.groups.create({ name: "farm" }), { code: "conflict" });
    assert.throws(() => lab.groups.create({ name: "box1" }), { code: "conflict" });
    assert.ok(lab.groups.has("farm") && !lab.groups.has("far"));
    assert.match(lab.groups.create({}).name, /^[a-z]+-[a-z]+$/);
  });

  for (const name of ["", "../x", "a;b", "$(reboot)", "a\nb", "-rf", "A".repeat(33), "grp/1"]) {
    test(`are not called ${JSON.stringify(name)}`, () => {
      assert.throws(() => new Lab().groups.create({ name }), { code: "bad-name" });
    });
  }

  test("are not made of sandboxes that are not there", () => {
    const lab = new Lab("box1");
    assert.throws(() => lab.groups.create({ name: "farm", boxes: ["box1", "box9"] }), { code: "not-found" });
    assert.deepEqual(lab.groups.list(), []);
  });

  test("keep a sandbox that has ended as one that is gone, and give it up when told", () => {
    const lab = new Lab("box1", "box2");
    lab.groups.create({ name: "farm", boxes: ["box1", "box2"] });
    lab.end("box1", "held");
    assert.deepEqual(
      lab.groups.show("farm", { exact: true }).members.map(({ name, box }) => [name, box !== undefined]),
      [
        ["box1", false],
        ["box2", true],
      ],
    );
    lab.groups.remove("farm", "box1");
    assert.deepEqual(lab.membersOf("farm"), ["box2"]);
    assert.throws(() => lab.groups.remove("farm", "box1"), { code: "not-found" });
  });

  test("lose what the person removes", () => {
    const lab = new Lab("box1", "box2");
    lab.groups.create({ name: "farm", boxes: ["box1", "box2"] });
    lab.end("box2", "leaving");
    assert.deepEqual(lab.membersOf("farm", lab.reopen()), ["box1"]);
  });

  test("ask for the id where one that has ended had the same name", () => {
    const lab = new Lab("box1");
    lab.groups.create({ name: "farm", boxes: ["box1"] });
    lab.end("box1", "held");
    lab.have("box1");
    lab.groups.add("farm", ["box1"]);
    assert.throws(() => lab.groups.remove("farm", "box1"), { code: "ambiguous" });
    const [first] = lab.groups.show("farm", { exact: true }).members;
    lab.groups.remove("farm", String(first?.id));
    assert.deepEqual(lab.membersOf("farm"), ["box1"]);
  });

  test("are forgotten without their sandboxes", () => {
    const lab = new Lab("box1");
    lab.groups.create({ name: "farm", boxes: ["box1"] });
    assert.equal(lab.groups.delete("farm").members.length, 1);
    assert.throws(() => lab.groups.delete("farm"), { code: "not-found" });
    assert.deepEqual(lab.ended, []);
  });

  test("are as many and as large as named, and no more", () => {
    const lab = new Lab("box1", "box2", "box3");
    const groups = lab.reopen({ maxGroups: 1, maxMembers: 2 });
    groups.create({ name: "farm", boxes: ["box1", "box2"] });
    assert.throws(() => groups.add("farm", ["box3"]), { code: "too-large" });
    assert.throws(() => groups.create({ name: "more" }), { code: "too-large" });
    assert.deepEqual(lab.membersOf("farm", groups), ["box1", "box2"]);
  });

  test("hear nothing more of sandboxes once they are closed", () => {
    const lab = new Lab("box1");
    lab.groups.create({ name: "farm", boxes: ["box1"] });
    lab.groups[Symbol.dispose]();
    lab.end("box1", "leaving");
    assert.equal(lab.membersOf("farm").length, 1);
  });
});

/** Somebody who holds sandboxes of these names. */
class Lab {
  readonly database = new DatabaseSync(":memory:");
  readonly ended: string[] = [];
  readonly #random = seededRandom(1);
  readonly #changes = new Topic<BoxChange>();
  readonly #held = new Map<string, Box>();
  #count = 0;
  readonly groups: Groups;

  constructor(...names: string[]) {
    for (const name of names) this.have(name);
    this.groups = this.reopen();
  }

  have(name: string): void {
    const id = `aaaabbbbccccddd${"abcdefgh"[this.#count++] ?? "x"}`;
    this.#held.set(name, { sandbox: { id, name } } as unknown as Box);
  }

  end(name: string, state: "held" | "leaving"): void {
    const box = this.#held.get(name);
    this.#held.delete(name);
    this.#changes.publish({ kind: "ended", row: { ...box?.sandbox, state } as unknown as BoxChange["row"] });
  }

  reopen(options: GroupBookOptions = {}): Groups {
    const held = this.#held;
    const boxes = {
      changes: this.#changes,
      isTaken: (name: string) => held.has(name),
      find: (text: string) => {
        const box = held.get(text);
        if (box === undefined) throw new Failure("not-found", "no such sandbox");
        return box.sandbox as unknown as BoxChange["row"];
      },
      get known() {
        return [...held.values()];
      },
    };
    return new Groups({ database: this.database, boxes, clock: new VirtualClock(), random: this.#random }, options);
  }

  membersOf(group: string, groups = this.groups): readonly string[] {
    return groups.show(group, { exact: false }).members.map(({ name }) => name);
  }
}
