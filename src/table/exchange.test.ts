import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type House, tag, Village } from "../../test/support/village.ts";
import { Scope, silentLog } from "../base/index.ts";
import type { NodeId } from "../core/index.ts";
import { Exchange } from "./exchange.ts";
import { Outbound } from "./outbound.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

describe("Exchange", () => {
  test("learns the network from one neighbour, and tests whom it heard of", async () => {
    await using lab = new Lab();
    const others = lab.houses(20);
    const [first = assert.fail()] = others;
    first.knows(...others.slice(1));
    lab.me.hear(first);
    await lab.run(5 * MINUTE);
    assert.equal(lab.me.table.rows.counts.verified, 20);
  });

  test("lets others learn of this node by asking them", async () => {
    await using lab = new Lab();
    const [first = assert.fail()] = lab.houses(1);
    lab.me.hear(first);
    await lab.run(MINUTE);
    assert.equal(first.table.get(lab.me.id)?.root, "announced");
  });

  test("is with friends in about a quarter of the rounds", async () => {
    await using lab = new Lab({ intervalMs: 30_000, idleIntervalMs: 30_000 });
    const [friend = assert.fail(), ...others] = lab.houses(12);
    lab.me.knows(friend, ...others).befriends(friend);
    await lab.run(4 * HOUR);
    const pages = lab.me.questions.filter(({ question }) => question.limit === 250);
    const share = pages.filter(({ to }) => to === friend.id).length / pages.length;
    // It is also one of eight neighbours: 0.25 + 0.75 * (0.75 / 8 + …).
    assert.ok(share > 0.25 && share < 0.45, String(share));
  });

  test("gets rare when nothing changes, and frequent again with news", async () => {
    await using lab = new Lab();
    const [first = assert.fail()] = lab.houses(1);
    lab.me.hear(first);
    await lab.run(3 * HOUR);
    const before = lab.me.questions.length;
    await lab.village.clock.advance(HOUR);
    const idle = lab.me.questions.length - before;
    assert.ok(idle <= 25, `${idle} questions in an idle hour`);
    first.knows(...lab.houses(3));
    await lab.village.clock.advance(20 * MINUTE);
    assert.equal(lab.me.table.rows.counts.verified, 4);
  });

  test("notices a node that died, and tells nobody of it any more", async () => {
    await using lab = new Lab();
    const [dying = assert.fail(), ...others] = lab.houses(5);
    lab.me.knows(dying, ...others);
    await lab.run(MINUTE);
    dying.fate = "refuses";
    lab.me.links.get(dying.id)?.break();
    await lab.village.clock.advance(2_000);
    assert.equal(lab.me.table.get(dying.id)?.state, "suspect");
    assert.equal(
      [...lab.me.table.rows.passed.changedAfter(0)].some((row) => row.id === dying.id),
      false,
    );
  });

  test("asks a joined node that said where it is at once, and a stranger in its turn", async () => {
    await using lab = new Lab();
    const [friend = assert.fail(), stranger = assert.fail(), ...others] = lab.houses(5);
    lab.me.knows(...others);
    await lab.run(3 * HOUR);
    lab.me.hear(friend, stranger).befriends(friend);
    await lab.village.clock.advance(2_000);
    assert.deepEqual([lab.state(friend.id), lab.state(stranger.id)], ["verified", "heard"]);
  });

  test("asks a node at once that was just joined, of which nothing but its address is known", async () => {
    await using lab = new Lab();
    const [friend = assert.fail(), ...others] = lab.houses(5);
    lab.me.knows(...others);
    await lab.run(3 * HOUR);
    const { id, node } = friend;
    lab.me.table.join({ id, relation: "friend", endpoints: [{ host: node.address, port: 8088 }] });
    await lab.village.clock.advance(2_000);
    assert.equal(lab.state(id), "verified");
  });

  test("tries a friend that is suspect at once when its record names another place", async () => {
    await using lab = new Lab();
    const [ill = assert.fail(), ...others] = lab.houses(5);
    lab.me.knows(ill, ...others).befriends(ill);
    await lab.run(MINUTE);
    ill.fate = "refuses";
    lab.me.links.get(ill.id)?.break();
    await lab.village.clock.advance(2 * HOUR);
    ill.fate = "answers";
    const moved = ill.node.record({ seq: 9, addresses: [ill.node.address, "203.0.114.9"] });
    lab.me.table.learn([tag(moved)], { kind: "announced", by: ill.id });
    await lab.village.clock.advance(2_000);
    assert.equal(lab.state(ill.id), "verified");
  });

  test("takes a suspect back when it answers again", async () => {
    await using lab = new Lab();
    const [ill = assert.fail(), ...others] = lab.houses(5);
    lab.me.knows(ill, ...others);
    await lab.run(MINUTE);
    ill.fate = "refuses";
    lab.me.links.get(ill.id)?.break();
    await lab.village.clock.advance(15 * MINUTE);
    ill.fate = "answers";
    await lab.village.clock.advance(15 * MINUTE);
    assert.equal(lab.me.table.get(ill.id)?.state, "verified");
  });

  test("gives a dead stranger up after an hour or so, and a friend never", async () => {
    await using lab = new Lab();
    const [stranger = assert.fail(), friend = assert.fail(), ...others] = lab.houses(6);
    lab.me.knows(stranger, friend, ...others).befriends(friend);
    await lab.run(MINUTE);
    for (const house of [stranger, friend]) {
      house.fate = "refuses";
      lab.me.links.get(house.id)?.break();
    }
    await lab.village.clock.advance(3 * HOUR);
    assert.deepEqual([lab.state(stranger.id), lab.state(friend.id)], [undefined, "suspect"]);
  });

  test("loses nobody while it reaches nobody", async () => {
    await using lab = new Lab();
    const others = lab.houses(6);
    lab.me.knows(...others);
    await lab.run(MINUTE);
    for (const house of others) house.fate = "silent";
    for (const link of lab.me.links.values()) link.break();
    await lab.village.clock.advance(24 * HOUR);
    for (const house of others) house.fate = "answers";
    await lab.village.clock.advance(HOUR);
    assert.equal(lab.me.table.rows.counts.verified, 6);
  });

  test("finds a lost half of the network again", async () => {
    await using lab = new Lab();
    const [here = assert.fail(), ...there] = lab.houses(5);
    lab.me.knows(here, ...there);
    await lab.run(MINUTE);
    for (const house of there) {
      house.fate = "refuses";
      lab.me.links.get(house.id)?.break();
    }
    await lab.village.clock.advance(8 * HOUR);
    assert.deepEqual(
      there.map(({ id }) => lab.state(id) ?? "gone").filter((state) => state === "verified"),
      [],
    );
    for (const house of there) house.fate = "answers";
    await lab.village.clock.advance(8 * HOUR);
    assert.equal(lab.me.table.rows.counts.verified, 5);
  });

  test("ends when it is aborted, before and in the middle", async () => {
    const lab = new Lab();
    lab.me.hear(...lab.houses(3));
    await lab.exchange.run(AbortSignal.abort());
    await lab.run(50);
    await lab[Symbol.asyncDispose]();
    assert.equal(lab.village.clock.sleeperCount, 0);
  });
});

class Lab implements AsyncDisposable {
  readonly village = new Village();
  readonly me: House = this.village.add(1);
  readonly scope = new Scope();
  readonly exchange: Exchange;
  #count = 1;

  constructor(options: ConstructorParameters<typeof Exchange>[1] = {}) {
    const { clock, random } = this.village;
    const { table, visitor, reach } = this.me;
    const outbound = new Outbound({ table, visitor, reach, now: () => clock.now(), random });
    this.exchange = new Exchange({ table, visitor, outbound, clock, random, log: silentLog }, options);
    this.scope.defer(() => outbound[Symbol.dispose]());
  }

  houses(count: number): House[] {
    return Array.from({ length: count }, () => this.village.add(++this.#count));
  }

  state(id: NodeId) {
    return this.me.table.get(id)?.state;
  }

  async run(ms: number): Promise<void> {
    this.scope.spawn((signal) => this.exchange.run(signal));
    await this.village.clock.advance(ms);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.scope.close();
  }
}
