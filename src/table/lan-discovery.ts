/**
 * Finds the nodes beside this one by multicast DNS (RFC 6762, RFC 6763), and lets them find this one.
 *
 * Works without any network beyond the LAN. What somebody says there is only a place to dial, and only the
 * sender's own address on our own link counts: nobody can point us at a third party. A host that floods the
 * LAN gets a few dials and a few places, not more.
 */

import { type Clock, type Log, type Random, Scope, TokenBuckets } from "../base/index.ts";
import { type Endpoint, Failure, formatEndpoint, isNodeId, type NodeId } from "../core/index.ts";
import type { NodeTable } from "./node-table.ts";
import type { VersionedRecord } from "./row.ts";
import type { Visitor } from "./visitor.ts";

/** A resource record, as far as it matters here. */
export interface Answer {
  readonly name: string;
  readonly type: string;
  readonly ttl?: number;
  readonly data: unknown;
}

export interface MulticastPacket {
  readonly kind: "query" | "response";
  readonly questions: readonly { readonly name: string; readonly type: string }[];
  readonly answers: readonly Answer[];
}

/** One network interface, one address family. */
export interface Multicast {
  /** Its own addresses on this link; the first is the one that its packets come from. */
  readonly addresses: readonly string[];
  send(packet: MulticastPacket): void;
  /** Packets whose sender is on this link. */
  onPacket(listener: (packet: MulticastPacket, from: string) => void): Disposable;
}

export interface LanDiscoveryDeps {
  readonly id: NodeId;
  readonly table: Pick<NodeTable, "sight" | "get">;
  readonly visitor: Pick<Visitor, "visit">;
  /** Finds out who answers there: told of this node's own key, it sees whether that is a copy. @throws {Failure} unreachable */
  readonly identify: (endpoint: Endpoint, signal: AbortSignal) => Promise<unknown>;
  readonly self: () => VersionedRecord | undefined;
  /** Whether this node listens at that address of its own. */
  readonly listensAt: (address: string) => boolean;
  /** The port that it listens on: a router may have given it another one outside, which its record then says. */
  readonly port: () => number;
  /** Tells when this machine has come to another network. */
  readonly onMove: (listener: () => void) => Disposable;
  /** The interfaces there are now, open until `signal` aborts. */
  readonly open: (signal: AbortSignal) => Promise<readonly Multicast[]>;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

export const SERVICE = "_p2prc._tcp.local";
/** RFC 6762 section 5.2: a second, then twice as long each time, here up to ten minutes. */
const FIRST_QUERY_MS = 1_000;
const LAST_QUERY_MS = 600_000;
/** Interfaces come and go: a laptop is carried about. */
const REOPEN_MS = 300_000;
/** RFC 6762 section 6: at most one answer a second, after 20 to 120 ms. */
const ANSWER_EVERY_MS = 1_000;
const ANSWER_DELAY_MS = 20;
const ANSWER_SPREAD_MS = 100;
/** Whether this node listens somewhere else now. */
const LOOK_MS = 1_000;
const TTL_S = 120;
const PER_SENDER = { burst: 10, everyMs: 2_000, maxKeys: 256 };
const PER_LAN = { burst: 64, everyMs: 200, maxKeys: 1 };
const PER_NODE = { burst: 1, everyMs: 60_000, maxKeys: 256 };
const MAX_VISITS = 4;
/** An answer names one node; a proxy may name some. */
const MAX_ANSWERS = 16;

export class LanDiscovery {
  readonly #deps: LanDiscoveryDeps;
  readonly #senders: TokenBuckets;
  readonly #lan: TokenBuckets;
  readonly #nodes: TokenBuckets;
  #visits = 0;
  /** When the interfaces there are asked next, and how long it then rests. */
  #asking = { where: "", waitMs: FIRST_QUERY_MS, dueAt: 0 };
  #answeredAt = Number.NEGATIVE_INFINITY;

  constructor(deps: LanDiscoveryDeps) {
    this.#deps = deps;
    this.#senders = new TokenBuckets(deps.clock, PER_SENDER);
    this.#lan = new TokenBuckets(deps.clock, PER_LAN);
    this.#nodes = new TokenBuckets(deps.clock, PER_NODE);
  }

  /** Announces, asks and listens until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await using scope = new Scope(signal);
      const { promise: moved, resolve } = Promise.withResolvers<void>();
      using _watching = this.#deps.onMove(resolve);
      const interfaces = await this.#deps.open(scope.signal);
      for (const lan of interfaces) {
        const listening = lan.onPacket((packet, from) => this.#hear({ packet, from, lan, scope }));
        scope.defer(() => listening[Symbol.dispose]());
      }
      scope.spawn((ending) => this.#askAgainAndAgain(interfaces, ending));
      scope.spawn((ending) => this.#announceChanges(interfaces, ending));
      await Promise.race([this.#deps.clock.sleep(REOPEN_MS, scope.signal), moved]);
    }
  }

  async #askAgainAndAgain(interfaces: readonly Multicast[], signal: AbortSignal): Promise<void> {
    const { clock } = this.#deps;
    const where = interfaces.flatMap(({ addresses }) => addresses).join();
    // The same interfaces opened again are no news; other ones are asked from the beginning.
    if (this.#asking.where !== where) this.#asking = { where, waitMs: FIRST_QUERY_MS, dueAt: clock.now() };
    for (;;) {
      await clock.sleep(this.#asking.dueAt - clock.now(), signal);
      const { waitMs } = this.#asking;
      this.#asking = { where, waitMs: Math.min(LAST_QUERY_MS, waitMs * 2), dueAt: clock.now() + waitMs };
      for (const lan of interfaces) {
        lan.send({ kind: "query", questions: [{ name: SERVICE, type: "PTR" }], answers: [] });
        this.#announce(lan);
      }
    }
  }

  /** Who begins to lend, or listens elsewhere now, is not found by those who asked before unless he says so himself. */
  async #announceChanges(interfaces: readonly Multicast[], signal: AbortSignal): Promise<void> {
    for (let announced = this.#port; ; ) {
      await this.#deps.clock.sleep(LOOK_MS, signal);
      if (this.#port === announced) continue;
      announced = this.#port;
      for (const lan of interfaces) this.#announce(lan);
    }
  }

  get #port(): number {
    return this.#deps.self() === undefined ? 0 : this.#deps.port();
  }

  #hear({ packet, from, lan, scope }: Heard): void {
    if (!this.#lan.take("lan") || !this.#senders.take(from)) return;
    if (packet.kind === "query") {
      const { clock, random } = this.#deps;
      if (!packet.questions.some(({ name }) => name.toLowerCase() === SERVICE)) return;
      if (clock.now() - this.#answeredAt < ANSWER_EVERY_MS) return;
      this.#answeredAt = clock.now();
      scope.spawn(async (signal) => {
        await clock.sleep(ANSWER_DELAY_MS + random.next() * ANSWER_SPREAD_MS, signal);
        this.#announce(lan);
      });
      return;
    }
    for (const { id, port } of nodesIn(packet.answers)) {
      if (id !== this.#deps.id) this.#found(id, { host: from, port }, scope);
      else if (!lan.addresses.includes(from) || port !== this.#port) this.#foundSelf({ host: from, port }, scope);
    }
  }

  /** Another machine says that it is this node. Only a proof of the key counts. */
  #foundSelf(endpoint: Endpoint, scope: Scope): void {
    if (this.#visits >= MAX_VISITS || !this.#nodes.take(`${this.#deps.id} ${endpoint.host}`)) return;
    this.#dial(scope, async (signal) => {
      try {
        await this.#deps.identify(endpoint, signal);
      } catch (error) {
        if (!(error instanceof Failure)) throw error; // whether it was a copy is for others to tell
      }
    });
  }

  #found(id: NodeId, endpoint: Endpoint, scope: Scope): void {
    const { table, visitor, log } = this.#deps;
    const known = table.get(id);
    const isThere =
      known?.state === "verified" &&
      known.hints.some((hint) => hint.source === "lan" && formatEndpoint(hint.endpoint) === formatEndpoint(endpoint));
    if (isThere || this.#visits >= MAX_VISITS || !this.#nodes.take(`${id} ${endpoint.host}`)) return;
    if (table.sight(id, endpoint) === undefined) return;
    this.#dial(scope, async (signal) => {
      const visit = await visitor.visit(id, {}, signal);
      log.debug("tried a node on the LAN", { id, outcome: visit.kind });
    });
  }

  #dial(scope: Scope, work: (signal: AbortSignal) => Promise<void>): void {
    this.#visits++;
    scope.spawn((signal) => work(signal).finally(() => void this.#visits--));
  }

  #announce(lan: Multicast): void {
    const { self, listensAt } = this.#deps;
    const record = self()?.record;
    const [port, [sender]] = [this.#port, lan.addresses];
    if (record === undefined || port === 0) return;
    if (sender === undefined || !listensAt(sender)) return; // others dial the sender
    const instance = `${record.id}.${SERVICE}`;
    const target = `${record.id}.local`;
    const answers: Answer[] = [
      { name: SERVICE, type: "PTR", ttl: TTL_S, data: instance },
      { name: instance, type: "SRV", ttl: TTL_S, data: { port, target, weight: 0, priority: 0 } },
      { name: instance, type: "TXT", ttl: TTL_S, data: [`v=${record.v}`] },
    ];
    // For other programs that look (avahi-browse): nodes dial the sender.
    for (const address of lan.addresses.filter(listensAt).slice(0, 4)) {
      answers.push({ name: target, type: address.includes(":") ? "AAAA" : "A", ttl: TTL_S, data: address });
    }
    lan.send({ kind: "response", questions: [], answers });
  }
}

interface Heard {
  readonly packet: MulticastPacket;
  readonly from: string;
  readonly lan: Multicast;
  readonly scope: Scope;
}

/** The nodes that SRV records name: `<id>._p2prc._tcp.local` and a port. All else is passed over. */
function* nodesIn(answers: readonly Answer[]): IterableIterator<{ readonly id: NodeId; readonly port: number }> {
  for (const { name, type, data } of answers.slice(0, MAX_ANSWERS)) {
    if (type !== "SRV" || typeof name !== "string" || !name.toLowerCase().endsWith(`.${SERVICE}`)) continue;
    const id = name.slice(0, -SERVICE.length - 1).toLowerCase();
    const port = portOf(data);
    if (isNodeId(id) && port !== undefined) yield { id, port };
  }
}

function portOf(data: unknown): number | undefined {
  if (typeof data !== "object" || data === null || !("port" in data)) return undefined;
  const { port } = data;
  return typeof port === "number" && Number.isInteger(port) && port > 0 && port < 65_536 ? port : undefined;
}
