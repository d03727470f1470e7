/**
 * A network of thousands of IP tables in one process, in virtual time: the product's own table, exchange and
 * answers, over a pretended network, with a tag in the place of a signature.
 *
 * A share of the nodes collude: they are alive, answer only with each other, and announce themselves to
 * everybody. All have addresses of their own, so that caps per address do nothing against them.
 */

import { type Clock, type Random, randomBelow, seededRandom, shuffled, silentLog } from "../../src/base/index.ts";
import {
  AllowedNetworks,
  Failure,
  type NodeId,
  nodeIdFromPublicKey,
  type NodeRecord,
  type SignedRecord,
} from "../../src/core/index.ts";
import type { Dialable, Link } from "../../src/network/index.ts";
import {
  answerTable,
  Asker,
  Exchange,
  hearAnnouncement,
  NodeTable,
  Outbound,
  ProbeRation,
  type TableQuestion,
  type TableReply,
  Visitor,
} from "../../src/table/index.ts";

export interface WorldOptions {
  readonly nodes: number;
  /** 0 to 1. */
  readonly colluders: number;
  /** Share of the honest nodes that go away in each round. They come back after about 20 rounds with a new address. */
  readonly churn: number;
  readonly seed: number;
  readonly maxRows?: number;
  /** Random ids that each honest node starts with. */
  readonly starts: number;
  readonly friends: number;
  readonly feelers?: number;
}

export interface Snapshot {
  readonly round: number;
  /** Of the honest nodes that are there, how many an honest node knows: mean share. */
  readonly known: number;
  /** Share of colluders in the tables: median and 99th percentile of honest nodes. */
  readonly bad: { readonly median: number; readonly p99: number };
  /** The same among verified rows alone. */
  readonly badVerified: { readonly median: number; readonly p99: number };
  /** Honest nodes all of whose outbound links are with colluders. */
  readonly cutOff: number;
  /** Verified rows whose node is away: mean share. */
  readonly stale: number;
  /** Sent and received by an honest node so far, mean. */
  readonly bytes: number;
}

const ROUND_MS = 30_000;
/** Measured: a mutual TLS 1.3 handshake and the HTTP/2 preface, both ways. */
const HANDSHAKE_BYTES = 6_000;
const PING_BYTES = 600;
/** A record with its signature, as an honest node of today signs it, in JSON. */
const RECORD_BYTES = 720;
const HEAD_BYTES = 250;
const RETURN_ROUNDS = 20;

export class TableWorld {
  readonly #options: WorldOptions;
  readonly #clock = new RoundClock();
  readonly #random: Random;
  readonly #nodes: WorldNode[] = [];
  #colluders: WorldNode[] = [];
  readonly #byId = new Map<NodeId, WorldNode>();
  readonly #records = new Map<SignedRecord, NodeRecord>();
  #round = 0;

  constructor(options: WorldOptions) {
    this.#options = options;
    this.#random = seededRandom(options.seed);
    const colluders = Math.round(options.nodes * options.colluders);
    for (let i = 0; i < options.nodes; i++) this.#add(i < colluders);
    this.#colluders = this.#nodes.filter((node) => node.colludes);
    for (const node of this.#honest()) this.#introduce(node);
  }

  /** Every honest node makes a round, in random order, and every colluder announces itself to somebody. */
  async step(signal: AbortSignal): Promise<void> {
    this.#clock.advance(ROUND_MS);
    this.#round++;
    this.#churn();
    for (const node of shuffled(this.#nodes, this.#random)) {
      if (!node.alive) continue;
      if (node.colludes) this.#announce(node);
      else {
        await node.exchange.round(signal);
        await node.exchange.retry(signal);
      }
    }
  }

  /** Honest nodes all of whose outbound links are with colluders, now. */
  get cutOff(): number {
    return this.#honest().filter((node) => node.alive && this.#isCutOff(node)).length;
  }

  /** Of the honest nodes that are there, how many an honest node knows: mean share. */
  get known(): number {
    const honest = this.#honest().filter((node) => node.alive);
    return mean(honest.map((node) => this.#knownBy(node, honest.length)));
  }

  snapshot(): Snapshot {
    const honest = this.#honest().filter((node) => node.alive);
    const tables = honest.map((node) => this.#look(node));
    return {
      round: this.#round,
      known: this.known,
      bad: spread(tables.map((table) => table.bad)),
      badVerified: spread(tables.map((table) => table.badVerified)),
      cutOff: this.cutOff,
      stale: mean(tables.map((table) => table.stale)),
      bytes: mean(honest.map((node) => node.bytes)),
    };
  }

  #look(node: WorldNode) {
    const rows = [...node.table.rows.all()];
    const verified = rows.filter((row) => row.state === "verified");
    const isBad = (id: NodeId) => this.#node(id).colludes;
    return {
      bad: share(rows, (row) => isBad(row.id)),
      badVerified: share(verified, (row) => isBad(row.id)),
      stale: share(verified, (row) => !this.#node(row.id).alive),
    };
  }

  #knownBy(node: WorldNode, alive: number): number {
    let good = 0;
    for (const { id } of node.table.rows.all()) {
      const other = this.#node(id);
      if (other.alive && !other.colludes) good++;
    }
    return good / Math.max(1, alive - 1);
  }

  #isCutOff({ outbound: { ids } }: WorldNode): boolean {
    return ids.length > 0 && ids.every((id) => this.#node(id).colludes);
  }

  #add(colludes: boolean): void {
    const id = nodeIdFromPublicKey(this.#random.bytes(32));
    const node = new WorldNode(id, colludes, this.#record(id, 1));
    this.#nodes.push(node);
    this.#byId.set(id, node);
    if (!colludes) this.#equip(node);
  }

  #equip(node: WorldNode): void {
    const { clock, random } = { clock: this.#clock, random: this.#random };
    const { maxRows, feelers } = this.#options;
    const self = () => node.own;
    const records = {
      read: (signed: SignedRecord) => this.#records.get(signed) ?? fail("bad-record"),
      isSigned: (signed: SignedRecord, id: NodeId) => signed.signature === id,
    };
    const allowed = AllowedNetworks.parse([]);
    const base = { id: node.id, self, records, allowed, holdsGrant: () => false, clock, random };
    const table = new NodeTable(base, maxRows === undefined ? {} : { maxRows });
    const ask = async (link: Link, question: TableQuestion) => this.#ask(node, link.peer, question);
    const asker = new Asker({ table, self, ask, clock, random });
    const reach = { link: async (target: Dialable) => this.#dial(node, target), existing: () => undefined };
    // Exempt: rations are tested elsewhere, and their memory would fill this machine.
    const ration = new ProbeRation({ clock, isExempt: () => true });
    const ping = async () => ({ rttMs: 30, jitterMs: 1 });
    const visitor = new Visitor({ table, asker, ration, reach, ping, clock });
    const outbound = new Outbound({ table, visitor, reach, now: () => clock.now(), random });
    const exchange = new Exchange(
      { table, visitor, outbound, clock, random, log: silentLog },
      feelers === undefined ? {} : { feelers },
    );
    node.parts = { table, outbound, exchange };
  }

  /** Some random ids, as a list from anywhere would be, and honest friends. */
  #introduce(node: WorldNode): void {
    const others = this.#honest().filter((other) => other !== node);
    for (let i = 0; i < this.#options.starts; i++) {
      const start = pick(this.#nodes, this.#random);
      node.table.learn([start.own.signed], { kind: "person" });
    }
    for (const friend of shuffled(others, this.#random).slice(0, this.#options.friends)) {
      node.table.learn([friend.own.signed], { kind: "person" });
      node.table.join({ id: friend.id, relation: "friend", endpoints: [] });
    }
  }

  #dial(from: WorldNode, target: Dialable): Link {
    const to = this.#node(target.id);
    const { addresses, port } = to.own.record;
    const right = target.endpoints.some((endpoint) => endpoint.host === addresses[0] && endpoint.port === port);
    if (!to.alive || !right) throw new Failure("unreachable", "silent");
    if (!from.outbound.ids.includes(to.id)) this.#charge(from, to, HANDSHAKE_BYTES);
    this.#charge(from, to, PING_BYTES);
    return new WorldLink(to);
  }

  #ask(from: WorldNode, id: NodeId, question: TableQuestion): TableReply {
    const to = this.#node(id);
    if (question.record !== undefined && !to.colludes) hearAnnouncement(to.table, question.record, { by: from.id });
    const reply = to.colludes
      ? this.#collude(question.limit)
      : answerTable({ table: to.table, self: () => to.own }, question);
    const asking = HEAD_BYTES + (question.known?.bits.length ?? 0) + (question.record === undefined ? 0 : RECORD_BYTES);
    this.#charge(from, to, asking + HEAD_BYTES + reply.records.length * RECORD_BYTES);
    return reply;
  }

  #collude(limit: number): TableReply {
    const records = Array.from({ length: limit }, () => pick(this.#colluders, this.#random).own.signed);
    return { records, cursor: `${"0".repeat(16)}.0`, more: true };
  }

  #announce(node: WorldNode): void {
    const victim = pick(this.#honest(), this.#random);
    if (victim.alive) hearAnnouncement(victim.table, node.own.signed, { by: node.id });
  }

  #churn(): void {
    const { churn } = this.#options;
    if (churn === 0) return;
    for (const node of this.#honest()) {
      if (node.alive) node.alive = this.#random.next() >= churn;
      else if (this.#random.next() < 1 / RETURN_ROUNDS) {
        node.alive = true;
        node.own = this.#record(node.id, node.own.record.seq + 1);
      }
    }
  }

  #record(id: NodeId, seq: number) {
    const record: NodeRecord = { ...BLANK, id, seq, addresses: [publicAddress(this.#random)] };
    const signed = { body: `${seq} ${id}`, signature: id };
    this.#records.set(signed, record);
    return { signed, record };
  }

  #charge(from: WorldNode, to: WorldNode, bytes: number): void {
    from.bytes += bytes;
    to.bytes += bytes;
  }

  #honest(): WorldNode[] {
    return this.#nodes.filter((node) => !node.colludes);
  }

  #node(id: NodeId): WorldNode {
    return this.#byId.get(id) ?? fail("unknown-node");
  }
}

class WorldNode {
  readonly id: NodeId;
  readonly colludes: boolean;
  own: { readonly signed: SignedRecord; readonly record: NodeRecord };
  alive = true;
  bytes = 0;
  parts: { readonly table: NodeTable; readonly outbound: Outbound; readonly exchange: Exchange } | undefined;

  constructor(id: NodeId, colludes: boolean, own: WorldNode["own"]) {
    this.id = id;
    this.colludes = colludes;
    this.own = own;
  }

  get table(): NodeTable {
    return (this.parts ?? fail("unknown-node")).table;
  }

  get outbound(): Outbound {
    return (this.parts ?? fail("unknown-node")).outbound;
  }

  get exchange(): Exchange {
    return (this.parts ?? fail("unknown-node")).exchange;
  }
}

/** As much of a Link as the table uses. It is open while the other end is there and has the same address. */
class WorldLink implements Link {
  readonly #to: WorldNode;
  readonly #seq: number;
  readonly ended = NEVER;
  readonly idleSince = undefined;
  readonly bytesRead = 0;

  constructor(to: WorldNode) {
    this.#to = to;
    this.#seq = to.own.record.seq;
  }

  get peer(): NodeId {
    return this.#to.id;
  }

  get path() {
    const { addresses, port } = this.#to.own.record;
    return { kind: "tcp4", remote: `${addresses[0]}:${port}` } as const;
  }

  get open(): boolean {
    return this.#to.alive && this.#to.own.record.seq === this.#seq;
  }

  keep(): Disposable {
    return NOTHING;
  }

  hold(): Disposable {
    return NOTHING;
  }

  close(): void {}

  request(): never {
    return fail("not-supported");
  }

  connect(): never {
    return fail("not-supported");
  }

  ping(): never {
    return fail("not-supported");
  }
}

/** Time that moves by whole rounds. Nothing in a round takes any, so no time limit is ever reached. */
class RoundClock implements Clock {
  #now = 1_000_000;

  now(): number {
    return this.#now;
  }

  wallTime(): number {
    return this.#now;
  }

  advance(ms: number): void {
    this.#now += ms;
  }

  sleep(_ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((_, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
    });
  }
}

const NEVER = new Promise<undefined>(() => {});
const NOTHING: Disposable = { [Symbol.dispose]: () => {} };

const BLANK = {
  v: 1,
  name: "node",
  port: 8088,
  udpPort: 0,
  nat: "none",
  via: [],
  labels: [],
  resources: { cpus: 1, memoryBytes: 0, diskBytes: 0, gpus: [] },
  version: "0",
  info: "",
  lends: true,
  boot: "0".repeat(16),
} satisfies Omit<NodeRecord, "id" | "seq" | "addresses">;

/** First bytes from 11 to 99: unicast, and none of the special ranges. */
function publicAddress(random: Random): string {
  return [11 + randomBelow(random, 89), ...Array.from({ length: 3 }, () => randomBelow(random, 256))].join(".");
}

function pick<T>(items: readonly T[], random: Random): T {
  return items[randomBelow(random, items.length)] as T;
}

function fail(code: "bad-record" | "unknown-node" | "not-supported"): never {
  throw new Failure(code, "not in this world");
}

function share<T>(items: readonly T[], fits: (item: T) => boolean): number {
  return items.length === 0 ? 0 : items.filter(fits).length / items.length;
}

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
}

export function spread(values: readonly number[]): { readonly median: number; readonly p99: number } {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (quantile: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * quantile))] ?? 0;
  return { median: at(0.5), p99: at(0.99) };
}
