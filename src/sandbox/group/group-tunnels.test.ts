import assert from "node:assert/strict";
import type { DatabaseSync } from "node:sqlite";
import { describe, test } from "node:test";
import { type FakeGate, FakeGates } from "../../../test/support/fake-gates.ts";
import { VirtualClock } from "../../../test/support/virtual-clock.ts";
import { seededRandom, silentLog, Topic } from "../../base/index.ts";
import { Failure } from "../../core/index.ts";
import { openDatabase } from "../../store/index.ts";
import type { SandboxId } from "../runtime/sandbox-id.ts";
import type { Group } from "./contract.ts";
import { GroupTunnels } from "./group-tunnels.ts";
import type { GroupChange } from "./groups.ts";
import { encodePiece, MAX_CONTENT_BYTES, WINDOW_BYTES } from "./inside/strands.ts";
import type { SwitchboardOptions } from "./switchboard.ts";

const some = [{ first: 8_786, last: 8_786 }];

describe("tunnels of groups", () => {
  test("give each member an address, and join who connects with whom it means", async () => {
    await using lab = new Lab(3);
    const { members } = await lab.open([...some, { first: 9_000, last: 9_001, box: "box2" }]);
    assert.deepEqual(
      members.map(({ name, address, state, names, ports }) => [name, address, state, names, ports.length]),
      [
        ["box1", "127.77.0.1", "joined", true, 1],
        ["box2", "127.77.0.2", "joined", true, 3],
        ["box3", "127.77.0.3", "joined", true, 1],
      ],
    );
    const [plan] = lab.gate(1).plans;
    assert.deepEqual(plan?.own, { address: "127.77.0.1", name: "box1" });
    assert.deepEqual(plan?.neighbours[0], {
      place: 2,
      address: "127.77.0.2",
      name: "box2",
      ports: [8_786, 9_000, 9_001],
      alone: [9_000, 9_001],
    });
    lab.gate(1).open(7, { place: 2, port: 9_001 });
    lab.gate(1).say("data", 7, "hello");
    lab.gate(1).say("end", 7);
    await lab.settle();
    assert.equal(lab.gate(1).heardOn(7), "data:5 end");
    assert.equal(lab.gate(2).heard[0]?.kind, "open");
    assert.deepEqual(lab.tunnels.show("farm").members[1]?.ports[2], { port: 9_001, open: 0, total: 1, bytes: 10 });
    assert.equal(lab.tunnels.show("farm").open, 0);
  });

  test("lead to no port and no place that was not named", async () => {
    await using lab = new Lab(2);
    await lab.open(some);
    for (const [strand, place, port] of [
      [1, 2, 22],
      [2, 3, 8_786],
      [3, 1, 8_786],
    ] as const) {
      lab.gate(1).open(strand, { place, port });
      await lab.settle();
      assert.equal(lab.gate(1).heardOn(strand), "broken");
    }
    assert.deepEqual(lab.gate(2).heard, []);
    assert.equal(lab.tunnels.show("farm").refused, 3);
  });

  test("hold as many connections as named, and take more when one has ended", async () => {
    await using lab = new Lab(2, { maxConnections: 2 });
    await lab.open(some);
    for (const strand of [1, 2, 3]) lab.gate(1).open(strand, { place: 2, port: 8_786 });
    await lab.settle();
    assert.deepEqual(
      [1, 2, 3].map((strand) => lab.gate(1).heardOn(strand)),
      ["", "", "broken"],
    );
    lab.gate(1).say("broken", 1);
    lab.gate(1).open(4, { place: 2, port: 8_786 });
    await lab.settle();
    assert.equal(lab.gate(1).heardOn(4), "");
    assert.equal(lab.tunnels.show("farm").open, 2);
  });

  test("let go of who sends more than there is room for, and have it join again", async () => {
    await using lab = new Lab(2);
    await lab.open(some);
    const first = lab.gate(1);
    first.open(1, { place: 2, port: 8_786 });
    // What is echoed is not taken: no room is given back.
    for (let sent = 0; sent <= WINDOW_BYTES; sent += MAX_CONTENT_BYTES)
      first.say("data", 1, Buffer.alloc(MAX_CONTENT_BYTES));
    await lab.settle();
    const [member] = lab.tunnels.show("farm").members;
    assert.deepEqual([member?.state, member?.why], ["away", "what is said in it makes no sense"]);
    assert.match(lab.gate(2).heard.at(-1)?.kind ?? "", /broken/);
    await lab.clock.advance(1_000);
    await lab.settle();
    assert.equal(lab.tunnels.show("farm").members[0]?.state, "joined");
    assert.notEqual(lab.gate(1), first);
  });

  for (const [what, bytes] of [
    ["pieces of no kind", Buffer.alloc(9, 99)],
    ["a report of something else", Buffer.from("\x02\0\0\0\0\0\0\0\x02{}", "latin1")],
    ["a report of nothing", encodePiece("report", 0, "null")],
    ["a report of places that are none", reportOf([null])],
    ["a report of words that are none", reportOf([{ place: 1, port: 1, why: { toString: 1 } }])],
    ["a report that is no JSON", Buffer.from("\x02\0\0\0\0\0\0\0\x02{]", "latin1")],
    ["a strand of ours", Buffer.from("\x03\x80\0\0\x01\0\0\0\x04\0\x02\x22\x52", "latin1")],
    ["half a target", Buffer.from("\x03\0\0\0\x01\0\0\0\x02\0\x02", "latin1")],
  ] as const) {
    test(`let go of a member that says ${what}`, async () => {
      await using lab = new Lab(2);
      await lab.open(some);
      lab.gate(1).raw(bytes);
      await lab.settle();
      assert.deepEqual(
        lab.tunnels.show("farm").members.map(({ state }) => state),
        ["away", "joined"],
      );
    });
  }

  test("break what is open with a member that goes away, keep the rest, and take it back", async () => {
    await using lab = new Lab(3);
    await lab.open(some);
    lab.gate(1).open(1, { place: 2, port: 8_786 });
    lab.gate(1).open(2, { place: 3, port: 8_786 });
    await lab.settle();
    lab.gates.refuses.set(lab.id(2), new Failure("unreachable", "attic cannot be reached"));
    lab.gate(2).cut();
    await lab.settle();
    assert.deepEqual([lab.gate(1).heardOn(1), lab.gate(1).heardOn(2)], ["broken", ""]);
    await lab.clock.advance(20_000);
    assert.equal(lab.tunnels.show("farm").members[1]?.why, "attic cannot be reached");
    lab.gates.refuses.clear();
    await lab.clock.advance(30_000);
    await lab.settle();
    assert.equal(lab.tunnels.show("farm").members[1]?.state, "joined");
    lab.gate(1).open(3, { place: 2, port: 8_786 });
    lab.gate(1).say("data", 3, "x");
    await lab.settle();
    assert.equal(lab.gate(1).heardOn(3), "data:1");
  });

  test("tell of a sandbox that is no more, and try it no longer", async () => {
    await using lab = new Lab(2);
    await lab.open(some);
    lab.gates.refuses.set(lab.id(2), new Failure("not-found", "no such sandbox"));
    lab.gate(2).cut();
    await lab.clock.advance(60_000);
    assert.equal(lab.tunnels.show("farm").members[1]?.state, "ended");
    assert.equal(lab.clock.sleeperCount, 0);
  });

  test("are not made where a grant has no ports, and then nothing is left", async () => {
    await using lab = new Lab(2);
    lab.gates.refuses.set(lab.id(2), new Failure("busy", "0 ports are in use, and the grant allows 0 at once"));
    await assert.rejects(lab.open(some), { code: "busy", message: /^box2: 0 ports/ });
    assert.throws(() => lab.tunnels.show("farm"), { code: "not-found" });
    assert.equal(lab.gate(1).way.destroyed, true);
  });

  test("begin without a member that is away", async () => {
    await using lab = new Lab(2);
    lab.gates.refuses.set(lab.id(2), new Failure("unreachable", "attic cannot be reached"));
    assert.deepEqual(
      (await lab.open(some)).members.map(({ state }) => state),
      ["joined", "away"],
    );
  });

  test("take more ports and who has come since, and keep the places of all", async () => {
    await using lab = new Lab(3);
    await lab.open(some);
    lab.leave(2);
    await lab.settle();
    lab.come(4);
    await lab.open([{ first: 9_000, last: 9_000 }]);
    assert.deepEqual(
      lab.tunnels.show("farm").members.map(({ name, address, ports }) => [name, address, ports.length]),
      [
        ["box1", "127.77.0.1", 2],
        ["box4", "127.77.0.2", 2],
        ["box3", "127.77.0.3", 2],
      ],
    );
    assert.deepEqual(
      lab
        .gate(3)
        .plans.at(-1)
        ?.neighbours.map(({ name }) => name)
        .toSorted(),
      ["box1", "box4"],
    );
  });

  test("are made again by the next daemon, at the same addresses", async () => {
    await using lab = new Lab(3);
    await lab.open(some);
    lab.leave(1);
    await lab.settle();
    await lab.restart();
    const { members } = lab.tunnels.show("farm");
    assert.deepEqual(
      members.map(({ address, state }) => [address, state]),
      [
        ["127.77.0.2", "joined"],
        ["127.77.0.3", "joined"],
      ],
    );
  });

  test("end when told, and with their group, and have gates leave no traces", async () => {
    await using lab = new Lab(2);
    await lab.open(some);
    const gate = lab.gate(1);
    await lab.tunnels.stop("farm");
    assert.deepEqual([gate.plans.at(-1)?.neighbours, gate.way.destroyed], [[], true]);
    await assert.rejects(lab.tunnels.stop("farm"), { code: "not-found" });
    await lab.open(some);
    lab.changes.publish({ id: "grp1", members: undefined });
    await lab.settle();
    await lab.restart();
    assert.throws(() => lab.tunnels.show("farm"), { code: "not-found" });
  });

  test("end also where a gate does nothing any more", async () => {
    await using lab = new Lab(2);
    await lab.open(some);
    lab.gate(1).obeys = false;
    const stopping = lab.tunnels.stop("farm");
    await lab.clock.advance(2_000);
    await stopping;
    assert.equal(lab.gate(1).way.destroyed, true);
  });

  test("carry as many ports between as many members as named", async () => {
    await using lab = new Lab(2);
    await lab.open([{ first: 1, last: 64 }]);
    await assert.rejects(lab.open([{ first: 65, last: 65 }]), { code: "too-large" });
    await assert.rejects(lab.open([{ first: 1, last: 65 }]), { code: "too-large" });
    assert.equal(lab.tunnels.show("farm").members[0]?.ports.length, 64);
    await using many = new Lab(65);
    await assert.rejects(many.open(some), { code: "too-large" });
    await using alone = new Lab(1);
    await assert.rejects(alone.open(some), { code: "bad-argument" });
  });

  test("are at most sixteen", async () => {
    await using lab = new Lab(2);
    for (let count = 0; count < 16; count++) await lab.open(some, `grp${count}`);
    await assert.rejects(lab.open(some, "grp16"), { code: "too-large" });
    assert.equal(lab.tunnels.show("grp15").members[0]?.address, "127.77.15.1");
  });

  test("refuse ports that are none, and of sandboxes that are not in the group", async () => {
    await using lab = new Lab(2);
    await assert.rejects(lab.open([{ first: 9, last: 8 }]), { code: "bad-argument" });
    await assert.rejects(lab.open([{ first: 9, last: 9, box: "box7" }]), { code: "not-found" });
  });
});

function reportOf(taken: readonly unknown[]): Buffer {
  return encodePiece("report", 0, JSON.stringify({ plan: 1, names: true, taken, takenCount: taken.length }));
}

/** A group of sandboxes whose gates are the test's. */
class Lab implements AsyncDisposable {
  readonly gates = new FakeGates();
  readonly clock = new VirtualClock();
  readonly changes = new Topic<GroupChange>();
  readonly #database: DatabaseSync = openDatabase(":memory:");
  readonly #options: SwitchboardOptions;
  #members: number[];
  tunnels: GroupTunnels;

  constructor(size: number, options: SwitchboardOptions = {}) {
    this.#options = options;
    this.#members = Array.from({ length: size }, (_, index) => index + 1);
    this.tunnels = this.#open();
  }

  open(ports: Parameters<GroupTunnels["open"]>[1], group = "farm") {
    return this.tunnels.open(group, ports, new AbortController().signal);
  }

  id(number: number): SandboxId {
    return `box${number}` as SandboxId;
  }

  gate(number: number): FakeGate {
    const gate = this.gates.gates.get(this.id(number));
    assert.ok(gate);
    return gate;
  }

  leave(number: number): void {
    this.#members = this.#members.filter((member) => member !== number);
    this.changes.publish({ id: "grp1", members: this.#rows() });
  }

  come(number: number): void {
    this.#members.push(number);
  }

  async restart(): Promise<void> {
    await this.tunnels[Symbol.asyncDispose]();
    this.tunnels = this.#open();
    void this.tunnels.run(new AbortController().signal);
    await this.settle();
    const isJoining = () => this.tunnels.show("farm").members.some(({ state }) => state === "joining");
    // It reads what it sends along from the disk.
    for (let turn = 0; turn < 100_000 && this.#isThere() && isJoining(); turn++) await this.settle();
  }

  async settle(): Promise<void> {
    for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closing = this.tunnels[Symbol.asyncDispose]();
    await this.clock.advance(5_000);
    await closing;
    assert.equal(this.changes.listenerCount, 0);
  }

  #isThere(): boolean {
    return this.#database.prepare("SELECT id FROM tunnel_tunnels").all().length > 0;
  }

  #open(): GroupTunnels {
    const show = (name: string): Group => ({
      id: name === "farm" ? "grp1" : name,
      name,
      made: 0,
      members: this.#rows().map((row) => ({ ...row, box: {} as NonNullable<Group["members"][number]["box"]> })),
    });
    const { connect } = this.gates;
    const groups = { show, changes: this.changes };
    const own = { clock: this.clock, random: seededRandom(1), log: silentLog };
    return new GroupTunnels({ database: this.#database, groups, connect, ...own }, this.#options);
  }

  #rows() {
    return this.#members.map((number) => ({ id: this.id(number), name: `box${number}` }));
  }
}
