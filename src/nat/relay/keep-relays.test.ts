import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { describe, test } from "node:test";
import { fakeId } from "../../../test/support/fake-link.ts";
import { VirtualClock } from "../../../test/support/virtual-clock.ts";
import { Scope, silentLog, Topic } from "../../base/index.ts";
import { Failure, type NodeId } from "../../core/index.ts";
import { KeepRelays, type RelayCandidate } from "./keep-relays.ts";

const HOUR_MS = 3_600_000;

describe("a node that nobody can dial", () => {
  test("keeps links to three nodes in different networks, friends and near ones first", async () => {
    await using lab = new Lab([
      node(1, { host: "192.0.2.1", rttMs: 5 }),
      node(2, { host: "192.0.2.2", rttMs: 1 }), // in the network of the one before, and nearer
      node(3, { host: "198.51.100.3", rttMs: 90 }),
      node(4, { host: "203.0.113.4", rttMs: 50, joined: true }),
      node(5, { host: "2001:db8::5", rttMs: 10 }),
    ]);
    await lab.clock.advance(0);
    assert.deepEqual(lab.via, [fakeId(4), fakeId(2), fakeId(5)]);
    assert.deepEqual(lab.asked, [fakeId(4), fakeId(2), fakeId(5)]);
    assert.ok(lab.keeper.has(fakeId(2)) && !lab.keeper.has(fakeId(1)));
  });

  test("replaces a lost one within 10 s, and tells of both", async () => {
    await using lab = new Lab([node(1), node(2), node(3), node(4)]);
    await lab.clock.advance(0);
    lab.lose(fakeId(2));
    await lab.clock.advance(10_000);
    assert.deepEqual(lab.via, [fakeId(1), fakeId(3), fakeId(4)]);
  });

  test("replaces a lost one within 10 s though the next one says nothing", async () => {
    await using lab = new Lab([node(1), node(2), node(3), node(4), node(5)]);
    await lab.clock.advance(0);
    lab.silent.add(fakeId(4));
    lab.lose(fakeId(1));
    await lab.clock.advance(10_000);
    assert.deepEqual(lab.via, [fakeId(2), fakeId(3), fakeId(5)]);
  });

  test("replaces one that says nothing at once, and keeps it for what runs there", async () => {
    await using lab = new Lab([node(1), node(2), node(3), node(4)]);
    await lab.clock.advance(0);
    lab.fallSilent(fakeId(1), true);
    await lab.clock.advance(0);
    assert.deepEqual(lab.via, [fakeId(2), fakeId(3), fakeId(4)]);
    assert.deepEqual([lab.links.size, lab.keeper.has(fakeId(1))], [4, true]);
    lab.lose(fakeId(1));
    await lab.clock.advance(60_000);
    assert.deepEqual([lab.via, lab.links.size], [[fakeId(2), fakeId(3), fakeId(4)], 3]);
  });

  test("goes on naming one that says nothing where there is no other", async () => {
    await using lab = new Lab([node(1), node(2)]);
    await lab.clock.advance(0);
    lab.fallSilent(fakeId(1), true);
    await lab.clock.advance(60_000);
    assert.deepEqual(lab.via, [fakeId(2), fakeId(1)]);
    lab.fallSilent(fakeId(1), false);
    await lab.clock.advance(0);
    assert.deepEqual([lab.via, lab.asked.length], [[fakeId(1), fakeId(2)], 2]);
  });

  test("keeps few that say nothing, and when they speak again none too many for long", async () => {
    await using lab = new Lab(Array.from({ length: 12 }, (_, index) => node(index + 1)));
    await lab.clock.advance(0);
    for (let round = 0; round < 3; round++) {
      for (const id of lab.links.keys()) lab.fallSilent(id, true);
      await lab.clock.advance(0);
    }
    assert.equal(lab.links.size, 6);
    for (const id of lab.links.keys()) lab.fallSilent(id, false);
    await lab.clock.advance(0);
    assert.deepEqual([lab.via.length, lab.links.size], [3, 6]);
    await lab.clock.advance(HOUR_MS + 10_000);
    assert.deepEqual([lab.via.length, lab.links.size], [3, 3]);
  });

  test("goes back to a lost one where there is no other, ever more rarely while it fails", async () => {
    await using lab = new Lab([node(1)]);
    await lab.clock.advance(0);
    lab.refusing.add(fakeId(1));
    lab.lose(fakeId(1));
    await lab.clock.advance(HOUR_MS);
    assert.deepEqual(lab.via, []);
    assert.ok(lab.asked.length < 20, `${lab.asked.length} tries in an hour`);
    lab.refusing.clear();
    await lab.clock.advance(600_000);
    assert.deepEqual(lab.via, [fakeId(1)]);
  });

  test("passes over one that does not want to, and over one that cannot be reached", async () => {
    await using lab = new Lab([node(1), node(2), node(3)]);
    lab.refusing.add(fakeId(1));
    lab.silent.add(fakeId(2));
    await lab.clock.advance(5_000);
    assert.deepEqual(lab.via, [fakeId(3)]);
  });

  test("does without one that did not answer of late, but where there is no other", async () => {
    await using lab = new Lab([node(1, { doubtful: true }), node(2), node(3), node(4)]);
    await lab.clock.advance(0);
    assert.deepEqual(lab.via, [fakeId(2), fakeId(3), fakeId(4)]);
    lab.lose(fakeId(3));
    await lab.clock.advance(0);
    assert.deepEqual(lab.via, [fakeId(1), fakeId(2), fakeId(4)]);
  });

  test("is there again soon after its own line was away for long", async () => {
    await using lab = new Lab([node(1), node(2), node(3), node(4)]);
    await lab.clock.advance(0);
    for (const { id } of lab.candidates) lab.silent.add(id);
    for (const id of lab.via) lab.lose(id);
    await lab.clock.advance(HOUR_MS);
    lab.silent.clear();
    await lab.clock.advance(35_000);
    assert.equal(lab.via.length, 3);
    lab.lose(lab.via[0] ?? fakeId(0));
    await lab.clock.advance(0);
    assert.equal(lab.via.length, 3); // nobody rests for what was not his fault
  });

  test("goes back at once to those that it lost because the machine moved", async () => {
    await using lab = new Lab([node(1), node(2), node(3)]);
    await lab.clock.advance(0);
    lab.keeper.moved();
    for (const id of lab.via) lab.lose(id);
    await lab.clock.advance(0);
    assert.deepEqual([lab.via.length, lab.asked.length], [3, 6]);
  });

  test("tries again soon where a network was not ready after a move, and not for ever", async () => {
    await using lab = new Lab([node(1)]);
    await lab.clock.advance(0);
    lab.keeper.moved();
    lab.silent.add(fakeId(1));
    lab.lose(fakeId(1));
    await lab.clock.advance(2_400);
    lab.silent.clear();
    await lab.clock.advance(600);
    assert.deepEqual([lab.via, lab.asked.length], [[fakeId(1)], 3]);
    lab.silent.add(fakeId(1));
    lab.keeper.moved();
    lab.lose(fakeId(1));
    await lab.clock.advance(20_000);
    const asked = lab.asked.length;
    await lab.clock.advance(20_000);
    assert.ok(lab.asked.length - asked <= 3, "as seldom as ever");
  });

  test("renews each before it ends, and leaves one that will not", async () => {
    await using lab = new Lab([node(1), node(2)]);
    await lab.clock.advance(0);
    lab.refusing.add(fakeId(2));
    await lab.clock.advance(HOUR_MS + 10_000);
    assert.ok(lab.asked.filter((id) => id === fakeId(1)).length === 2);
    assert.deepEqual(lab.via, [fakeId(1)]);
  });

  test("leaves them all when it can be dialled", async () => {
    await using lab = new Lab([node(1), node(2)]);
    await lab.clock.advance(0);
    lab.needed = false;
    lab.keeper.look();
    await lab.clock.advance(0);
    assert.deepEqual([lab.via, lab.links.size], [[], 0]);
  });

  test("finds one that it learns of later", async () => {
    await using lab = new Lab([]);
    await lab.clock.advance(60_000);
    lab.candidates.push(node(1));
    lab.keeper.look();
    await lab.clock.advance(0);
    assert.deepEqual(lab.via, [fakeId(1)]);
  });

  test("leaves nothing behind when it is stopped in the middle of asking", async () => {
    const lab = new Lab([node(1)]);
    lab.silent.add(fakeId(1));
    await lab.clock.advance(1_000);
    await lab.scope.close();
    assert.deepEqual([lab.links.size, getEventListeners(lab.scope.signal, "abort").length], [0, 0]);
  });
});

function node(number: number, about: Partial<RelayCandidate> & { readonly host?: string } = {}): RelayCandidate {
  const { host = `198.18.${number}.1`, joined = false, rttMs = number, doubtful = false } = about;
  return { id: fakeId(number), endpoints: [{ host, port: 8088 }], via: [], joined, rttMs, doubtful };
}

/** Relays that answer at once, refuse, or say nothing. */
class Lab implements AsyncDisposable {
  readonly clock = new VirtualClock();
  readonly scope = new Scope();
  readonly candidates: RelayCandidate[];
  readonly refusing = new Set<NodeId>();
  readonly silent = new Set<NodeId>();
  readonly asked: NodeId[] = [];
  readonly links = new Map<NodeId, () => void>();
  readonly silences = new Map<NodeId, Topic<boolean>>();
  readonly keeper: KeepRelays;
  needed = true;
  via: readonly NodeId[] = [];

  constructor(candidates: readonly RelayCandidate[]) {
    this.candidates = [...candidates];
    this.keeper = new KeepRelays({
      needed: () => this.needed,
      candidates: () => this.candidates,
      register: async ({ id }, signal) => {
        this.asked.push(id);
        if (this.silent.has(id)) await this.clock.sleep(Number.POSITIVE_INFINITY, signal);
        if (this.refusing.has(id)) throw new Failure("not-allowed", "this node passes on no links");
        return 2 * HOUR_MS;
      },
      answerOn: async ({ id }) => {
        const { promise: ended, resolve } = Promise.withResolvers<void>();
        const close = () => {
          this.links.delete(id);
          resolve();
        };
        this.links.set(id, close);
        const silences = this.silences.get(id) ?? new Topic<boolean>();
        this.silences.set(id, silences);
        return { path: { kind: "tcp4", remote: "" }, ended, silences, close };
      },
      changed: (via) => {
        this.via = via;
      },
      clock: this.clock,
      log: silentLog,
    });
    this.scope.spawn((signal) => this.keeper.run(signal));
  }

  fallSilent(id: NodeId, isSilent: boolean): void {
    this.silences.get(id)?.publish(isSilent);
  }

  lose(id: NodeId): void {
    this.links.get(id)?.();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.scope.close();
  }
}
