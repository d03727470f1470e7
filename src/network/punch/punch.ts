/**
 * Ways through NATs: HyperDHT finds the other node by its key and punches, we see that the hole leads to it.
 *
 * The DHT is a private one, formed by the nodes of this network that UDP reaches. A node that lends can be found in it
 * and helps others; one that does not opens its end when it first dials, and answers nobody. Where the native
 * modules do not load, or punching is turned off, there are no such ways, and `state` says why.
 */

import { type Clock, isAbort, type Log, type Random, Scope, Topic } from "../../base/index.ts";
import {
  cleanText,
  type Endpoint,
  Failure,
  type NodeId,
  type NodeRecord,
  publicKeyFromNodeId,
} from "../../core/index.ts";
import type { Pipe } from "../carrier.ts";
import { orAborted } from "../host-names.ts";
import type { Identity } from "../identity.ts";
import type { Dialable } from "../link.ts";
import type { Hindrance, Passage, PassageWay } from "../passage.ts";
import { punch } from "./dial.ts";
import { Doorkeeper, type DoorkeeperOptions } from "./doorkeeper.ts";
import { reasonOf } from "./endpoints.ts";
import { type Address, type Dht, type Engine, loadEngine } from "./engine.ts";
import { decodeKeyRecord, type Found } from "./key-record.ts";
import { Keys } from "./keys.ts";
import { readNodeList, writeNodeList } from "./node-list.ts";
import { Presence, type PunchRole } from "./presence.ts";
import { SharedDials } from "./shared-dials.ts";
import { Turns } from "./turns.ts";

export interface PunchState {
  /** Whether ways by punching are offered. */
  readonly on: boolean;
  /** Why not: nobody is known who would help, or one of the two below. */
  readonly reason: string | undefined;
  /** Why it is turned off. */
  readonly off: string | undefined;
  /** Why the library cannot be had. */
  readonly broken: string | undefined;
  /** Ends of the DHT that are open here. */
  readonly endpoints: number;
  /** Other DHT nodes that were asked at first. */
  readonly asked: number;
  /** Those that answered lately. */
  readonly nodesKnown: number;
  /** Whether the NAT gives each destination another port (symmetric). Undefined: too few nodes answered to tell. */
  readonly randomized: boolean | undefined;
  /** Whether the DHT answers. */
  readonly online: boolean;
  /** This node as the DHT sees it; port 0 where it is `randomized`. */
  readonly seenAs: Endpoint | undefined;
  /** Whether others can find this node by its key, and punch through to it. */
  readonly answers: boolean;
  /** Whether it says in the DHT where it is. */
  readonly published: boolean;
  /** Handshakes of others under way. */
  readonly pending: number;
  /** And connections of theirs that are open. */
  readonly connections: number;
}

export interface PunchDeps {
  readonly identity: Pick<Identity, "id" | "key">;
  /** The DHT ports of nodes in the table, as these say of themselves. */
  readonly bootstrap: () => readonly Endpoint[];
  /** Whether packets may be sent there because another node said so. */
  readonly mayReach: (address: Endpoint) => boolean;
  /** Takes in who has punched through to this node. */
  readonly take: (pipe: Pipe) => void;
  /** Own nodes, friends and guests. */
  readonly isKnown: (id: NodeId) => boolean;
  /** What is published under the own key, while this node answers. */
  readonly record: () => NodeRecord;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** @default hyperdht */
  readonly load?: () => Promise<Engine>;
}

export interface PunchOptions extends DoorkeeperOptions {
  /** Why it is turned off. @default it is not */
  readonly off?: string;
  /** Only nodes with the same one punch through to each other. @default none */
  readonly networkSecret?: string | undefined;
  /** IPv4 address to bind. @default "0.0.0.0" */
  readonly host?: string;
  /** Where known nodes are kept. @default nowhere */
  readonly nodesPath?: string;
  /** Dials under way; others wait. @default 16 */
  readonly maxDials?: number;
}

/** TCP gets a head start: where it can be had it is ten times as fast. */
const HEAD_START_MS = 300;
const TICK_MS = 30_000;
/** While a node that wants to be found has met nobody yet, or waits for streams to end. */
const EAGER_TICK_MS = 5_000;
/** For streams to end, where another role needs other ports. */
const MAX_WAIT_MS = 60 * 60_000;
const SAVE_MS = 10 * 60_000;

const NOBODY_KNOWN = "no node of the network is known that UDP reaches";
const NOBODY_ANSWERS = "no node of the DHT answers: they are gone, or this network lets no UDP through";

export class Punch implements Passage, AsyncDisposable {
  /** Something in `state` is another than before, counts aside. */
  readonly changes = new Topic<PunchState>();
  readonly #deps: PunchDeps;
  readonly #options: PunchOptions;
  readonly #door: Doorkeeper;
  readonly #keys: Keys;
  readonly #turns: Turns;
  readonly #dials: SharedDials;
  #role: PunchRole;
  #roleSince: number;
  #engine: Promise<Engine> | undefined;
  /** Why the engine cannot be had. */
  #broken: string | undefined;
  #saved: readonly Address[] | undefined;
  #savedAt: number;
  /** What is open is changed by one at a time. */
  #changing: Promise<unknown> = Promise.resolve();
  #presence: Presence | undefined;
  #closed = false;
  #told = "";
  #wake: () => void = () => {};

  constructor(deps: PunchDeps, role: PunchRole, options: PunchOptions = {}) {
    this.#deps = deps;
    this.#role = role;
    this.#roleSince = deps.clock.now();
    this.#options = options;
    this.#door = new Doorkeeper(deps, options);
    this.#keys = new Keys(deps.identity.key, options.networkSecret);
    this.#turns = new Turns(options.maxDials ?? 16);
    this.#dials = new SharedDials(deps.clock);
    this.#savedAt = deps.clock.now();
  }

  /** How others reach this node has changed: its ends of the DHT are opened anew where that needs it. */
  setRole(role: PunchRole): void {
    if (!isSame(this.#role, role)) this.#roleSince = this.#deps.clock.now();
    this.#role = role;
    this.#wake();
  }

  /** A stranger's stream must not keep this node from its new role for ever. */
  #isLate(): boolean {
    return this.#deps.clock.now() - this.#roleSince >= MAX_WAIT_MS;
  }

  get state(): PunchState {
    const { dht, endpoints = 0, asked = 0, nodes = [], isFound = false, isPublished = false } = this.#presence ?? {};
    const reason = this.#whyNot();
    return {
      on: reason === undefined,
      reason,
      off: this.#options.off,
      broken: this.#broken,
      asked,
      endpoints,
      nodesKnown: nodes.length,
      ...seenBy(dht),
      online: dht?.online ?? false,
      answers: isFound,
      published: isPublished,
      pending: this.#door.pending,
      connections: this.#door.connections,
    };
  }

  ways(target: Dialable): readonly PassageWay[] {
    if (this.#whyNot() !== undefined || target.id === this.#deps.identity.id) return [];
    return [
      {
        kind: "punched",
        address: "by its key",
        delayMs: target.endpoints.length === 0 ? 0 : HEAD_START_MS,
        open: (signal) => this.dial({ id: target.id, asks: true }, signal),
      },
    ];
  }

  hindrance(): Hindrance | undefined {
    const reason = this.#whyNot();
    return reason === undefined ? undefined : { kind: "punched", reason };
  }

  /**
   * A pipe to `id`, on which this end asks or answers.
   * @throws {Failure} unreachable, timed-out, not-supported, port-in-use
   */
  async dial({ id, asks }: { readonly id: NodeId; readonly asks: boolean }, signal: AbortSignal): Promise<Pipe> {
    return await this.#dials.take(`${id} ${asks}`, (dialling) => this.#dial({ id, asks }, dialling), signal);
  }

  /**
   * Where `id` says that it is, in the DHT under its key. Undefined: it says nothing there.
   * @throws {Failure} unreachable, not-supported, port-in-use: the DHT cannot be asked
   */
  async find(id: NodeId, signal: AbortSignal): Promise<Found | undefined> {
    const { dht } = await this.#ready(signal);
    const found = await orAborted(asked(dht.mutableGet(Buffer.from(publicKeyFromNodeId(id)))), signal);
    return found === null ? undefined : decodeKeyRecord(found.value);
  }

  /** Opens, closes and tends this node's ends of the DHT as things change, until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted && this.#options.off === undefined) {
      const { promise: woken, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      await this.#turn(signal);
      this.#tell();
      await using rest = new Scope(signal);
      const { nodes = [], isPublished = false } = this.#presence ?? {};
      const isAlone = this.#role.answers && (nodes.length === 0 || !isPublished);
      const isBehind = this.#presence !== undefined && !isSame(this.#presence.role, this.#role);
      const tickMs = isAlone || isBehind ? EAGER_TICK_MS : TICK_MS;
      await Promise.race([woken, this.#deps.clock.sleep(tickMs, rest.signal)]);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    await this.#dials[Symbol.asyncDispose]();
    await this.#change(() => this.#close());
  }

  async #dial({ id, asks }: { readonly id: NodeId; readonly asks: boolean }, signal: AbortSignal): Promise<Pipe> {
    using _turn = await this.#turns.take(signal);
    const presence = await this.#ready(signal);
    const { dht } = presence;
    const { mayReach, clock, random } = this.#deps;
    const createHandshake = this.#keys.handshakes(await this.#load(), { mayReach });
    const target = { id, publicKey: Buffer.from(publicKeyFromNodeId(id)), asks };
    try {
      return await punch({ dht, createHandshake, mayReach, clock, random }, target, signal);
    } catch (error) {
      // Who was never heard is not known to nobody: it is this node that hears nothing.
      if (error instanceof Failure && presence.nodes.length === 0)
        throw new Failure("unreachable", NOBODY_ANSWERS, { cause: error });
      throw error;
    }
  }

  /** Undefined: it can be tried. */
  #whyNot(): string | undefined {
    const unusable = this.#options.off ?? this.#broken;
    if (unusable !== undefined) return unusable;
    if ((this.#presence?.nodes.length ?? 0) > 0) return undefined;
    return this.#hasSomebodyToAsk() ? undefined : NOBODY_KNOWN;
  }

  #hasSomebodyToAsk(): boolean {
    return this.#deps.bootstrap().length + (this.#saved?.length ?? 0) > 0;
  }

  async #turn(signal: AbortSignal): Promise<void> {
    try {
      await this.#readSaved();
      await this.#change(() => this.#followRole());
      await this.#presence?.tend(this.#deps.bootstrap(), signal);
      await this.#save();
    } catch (error) {
      if (isAbort(error, signal)) return;
      if (!(error instanceof Failure)) throw error;
      this.#deps.log.debug("the DHT is not open", { why: error.message });
    }
  }

  #tell(): void {
    const { nodesKnown, pending: _pending, connections: _connections, ...rest } = this.state;
    const now = JSON.stringify({ ...rest, isAnswered: nodesKnown > 0 });
    if (now === this.#told) return;
    this.#told = now;
    this.changes.publish(this.state);
  }

  async #followRole(): Promise<void> {
    const role = this.#role;
    const presence = this.#presence;
    if (presence !== undefined) {
      // Streams end with the ports that they go through: others are opened when there are none, or none that can live.
      const waits = presence.isUsed && !hasMoved(presence.role, role) && !this.#isLate();
      if (isSame(presence.role, role) || waits) await presence.answer(role.answers);
      else await this.#close();
    }
    // The first node of a network has nobody to ask. Who does not lend opens nothing before he dials.
    if (role.answers && (role.publicHost !== undefined || this.#hasSomebodyToAsk())) await this.#open();
  }

  async #open(): Promise<void> {
    if (this.#presence !== undefined || this.#closed) return;
    const engine = await this.#load();
    const surroundings = {
      bootstrap: this.#deps.bootstrap(),
      saved: this.#saved ?? [],
      host: this.#options.host ?? "0.0.0.0",
    };
    this.#presence = await Presence.open(
      { ...this.#deps, engine, keys: this.#keys, door: this.#door },
      this.#role,
      surroundings,
    );
  }

  async #close(): Promise<void> {
    const presence = this.#presence;
    this.#presence = undefined;
    await presence?.[Symbol.asyncDispose]();
  }

  /** Open, with its first answers in. */
  async #ready(signal: AbortSignal): Promise<Presence> {
    const { off } = this.#options;
    if (off !== undefined) throw new Failure("unreachable", off);
    await orAborted(this.#readSaved(), signal);
    if (this.#hasSomebodyToAsk())
      await orAborted(
        this.#change(() => this.#open()),
        signal,
      );
    if (this.#presence === undefined) throw new Failure("unreachable", this.#whyNot() ?? NOBODY_KNOWN);
    return this.#presence;
  }

  async #readSaved(): Promise<void> {
    const { nodesPath } = this.#options;
    this.#saved ??= nodesPath === undefined ? [] : await readNodeList(nodesPath);
  }

  async #save(): Promise<void> {
    const { nodesPath } = this.#options;
    const nodes = this.#presence?.nodes ?? [];
    const now = this.#deps.clock.now();
    const isDue = now - this.#savedAt >= SAVE_MS || this.#saved?.length === 0;
    if (nodesPath === undefined || nodes.length === 0 || !isDue) return;
    this.#saved = nodes;
    this.#savedAt = now;
    await writeNodeList(nodesPath, nodes);
  }

  async #load(): Promise<Engine> {
    this.#engine ??= (this.#deps.load ?? loadEngine)();
    try {
      return await this.#engine;
    } catch (cause) {
      this.#broken ??= `the native modules of hyperdht do not load: ${cleanText(reasonOf(cause), 160)}`;
      throw new Failure("not-supported", this.#broken, { cause });
    }
  }

  async #change(work: () => Promise<void>): Promise<void> {
    const changed = this.#changing.then(work);
    this.#changing = changed.catch(() => undefined); // whoever asked hears of it
    await changed;
  }
}

/** The library's errors are of many kinds, as when its end is closed in the middle of a question. @throws {Failure} unreachable */
async function asked<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (cause) {
    throw new Failure("unreachable", `the DHT does not answer: ${cleanText(reasonOf(cause), 120)}`, { cause });
  }
}

/** What the other nodes say of this one's address. */
function seenBy(dht: Dht | undefined): Pick<PunchState, "randomized" | "seenAs"> {
  if (dht === undefined || dht.host === null) return { randomized: undefined, seenAs: undefined };
  return { randomized: dht.randomized, seenAs: { host: dht.host, port: dht.port } };
}

function hasMoved(from: PunchRole, to: PunchRole): boolean {
  return from.publicHost !== undefined && to.publicHost !== undefined && from.publicHost !== to.publicHost;
}

function isSame(one: PunchRole, other: PunchRole): boolean {
  return one.answers === other.answers && one.port === other.port && one.publicHost === other.publicHost;
}
