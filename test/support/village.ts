/**
 * Some nodes with tables of their own over a network in memory, in virtual time: dialling takes three round
 * trips, a question one. Each node answers with the product's own code, or has another fate.
 */

import { type Random, seededRandom } from "../../src/base/index.ts";
import { AllowedNetworks, Failure, type NodeId, type SignedRecord } from "../../src/core/index.ts";
import type { Dialable, Link, Reach } from "../../src/network/index.ts";
import {
  answerTable,
  Asker,
  hearAnnouncement,
  NodeTable,
  ProbeRation,
  type TableQuestion,
  type TableReply,
  Visitor,
} from "../../src/table/index.ts";
import { FakeLink } from "./fake-link.ts";
import { SignedNode } from "./signed-node.ts";
import { VirtualClock } from "./virtual-clock.ts";

/** mute: proves its key and never answers the question. */
export type Fate = "answers" | "refuses" | "silent" | "mute";

export class Village {
  readonly clock = new VirtualClock();
  readonly random: Random = seededRandom(7);
  readonly rttMs: number;
  readonly #houses = new Map<NodeId, House>();

  constructor({ rttMs = 30 }: { readonly rttMs?: number } = {}) {
    this.rttMs = rttMs;
  }

  add(number: number, options: { readonly rttMs?: number; readonly fate?: Fate } = {}): House {
    const house = new House(this, number, options);
    this.#houses.set(house.id, house);
    return house;
  }

  house(id: NodeId): House | undefined {
    return this.#houses.get(id);
  }

  /** Time until `done` does not take `ms` more. */
  async until<T>(done: Promise<T>, ms: number): Promise<T> {
    let settled = false;
    const mark = () => {
      settled = true;
    };
    done.then(mark, mark);
    for (let waited = 0; waited < ms && !settled; waited += 10) await this.clock.advance(10);
    if (!settled) throw new Error(`nothing came of it within ${ms} ms`);
    return await done;
  }
}

export class House {
  readonly node: SignedNode;
  readonly table: NodeTable;
  readonly asker: Asker;
  readonly visitor: Visitor;
  readonly ration: ProbeRation;
  readonly dialled: Dialable[] = [];
  readonly questions: { readonly to: NodeId; readonly question: TableQuestion }[] = [];
  readonly links = new Map<NodeId, FakeLink>();
  fate: Fate;
  rttMs: number;
  seq = 1;
  /** In the place of its own answer. */
  reply: ((question: TableQuestion) => TableReply) | undefined;
  readonly #village: Village;

  constructor(village: Village, number: number, { rttMs, fate = "answers" }: { rttMs?: number; fate?: Fate }) {
    this.#village = village;
    this.node = new SignedNode(number);
    this.fate = fate;
    this.rttMs = rttMs ?? village.rttMs;
    const { clock, random } = village;
    const self = () => this.own;
    const records = { read: readTagged, isSigned: (signed: SignedRecord, id: NodeId) => signed.signature === id };
    const allowed = AllowedNetworks.parse([]);
    const holdsGrant = () => false;
    this.table = new NodeTable({ id: this.id, self, records, allowed, holdsGrant, clock, random });
    const ask = (link: Link, question: TableQuestion, signal: AbortSignal) => this.#ask(link, question, signal);
    this.asker = new Asker({ table: this.table, self, ask, clock, random });
    this.ration = new ProbeRation({ clock, isExempt: () => false });
    const ping = async (link: Link, signal: AbortSignal) => ({ rttMs: await link.ping(signal), jitterMs: 0 });
    const { table, asker, ration } = this;
    this.visitor = new Visitor({ table, asker, ration, reach: this.reach, ping, clock });
  }

  get id(): NodeId {
    return this.node.id;
  }

  get own() {
    const record = this.node.record({ seq: this.seq });
    return { signed: tag(record), record };
  }

  /** Hears of others as if a person had said so. They are not visited by that. */
  hear(...others: readonly House[]): this {
    this.table.learn(
      others.map((other) => other.own.signed),
      { kind: "person" },
    );
    return this;
  }

  /** Has visited others. */
  knows(...others: readonly House[]): this {
    this.hear(...others);
    for (const other of others) this.table.answered(other.id, { kind: "tcp4", remote: `${other.node.address}:8088` });
    return this;
  }

  befriends(...others: readonly House[]): this {
    for (const { id } of others) this.table.join({ id, relation: "friend", endpoints: [] });
    return this;
  }

  readonly reach: Reach = {
    existing: (id) => (this.links.get(id)?.open === true ? this.links.get(id) : undefined),
    link: (target, signal) => this.#dial(target, signal),
  };

  async #dial(target: Dialable, signal: AbortSignal): Promise<Link> {
    const existing = this.reach.existing(target.id);
    if (existing !== undefined) return existing;
    this.dialled.push(target);
    const { clock } = this.#village;
    const other = this.#village.house(target.id);
    const at = target.endpoints.find((endpoint) => endpoint.host === other?.node.address);
    if (other === undefined || at === undefined || other.fate === "silent") {
      await clock.sleep(Number.POSITIVE_INFINITY, signal);
      throw new Failure("unreachable", "nobody there");
    }
    await clock.sleep(other.fate === "refuses" ? other.rttMs : 3 * other.rttMs, signal);
    if (other.fate === "refuses") throw new Failure("unreachable", "refused");
    const link = new VillageLink(clock, other);
    this.links.set(target.id, link);
    return link;
  }

  async #ask(link: Link, question: TableQuestion, signal: AbortSignal): Promise<TableReply> {
    const { clock } = this.#village;
    const other = this.#village.house(link.peer);
    this.questions.push({ to: link.peer, question });
    await clock.sleep(other?.fate === "mute" ? Number.POSITIVE_INFINITY : this.rttMs, signal);
    if (other === undefined) throw new Failure("link-lost", "gone");
    const { record } = question;
    const yours = record === undefined ? undefined : hearAnnouncement(other.table, record, { by: this.id });
    return other.reply?.(question) ?? answerTable({ table: other.table, self: () => other.own }, question, yours);
  }
}

class VillageLink extends FakeLink {
  override readonly path: Link["path"];

  constructor(clock: VirtualClock, { id, node, rttMs }: House) {
    super({ clock, peer: id, rttMs });
    this.path = { kind: "tcp4", remote: `${node.address}:8088` };
  }
}

/** A signature that costs nothing: the id. */
export function tag(record: ReturnType<SignedNode["record"]>): SignedRecord {
  return { body: JSON.stringify(record), signature: record.id };
}

function readTagged(signed: SignedRecord): ReturnType<SignedNode["record"]> {
  try {
    return JSON.parse(signed.body) as ReturnType<SignedNode["record"]>;
  } catch (cause) {
    throw new Failure("bad-record", "not a record", { cause });
  }
}
