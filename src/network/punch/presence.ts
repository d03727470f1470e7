/**
 * This node in the DHT for as long as its role stays the same: its ends, whoever may punch through to it, and what has
 * to be done again and again for others to find it.
 */

import { type Clock, type Log, type Random, Scope } from "../../base/index.ts";
import { cleanText, Failure, type NodeRecord } from "../../core/index.ts";
import { orAborted } from "../host-names.ts";
import type { Pipe } from "../carrier.ts";
import { Answerer } from "./answerer.ts";
import type { Doorkeeper } from "./doorkeeper.ts";
import { Endpoints, reasonOf } from "./endpoints.ts";
import type { Address, Dht, Engine } from "./engine.ts";
import { encodeKeyRecord } from "./key-record.ts";
import type { Keys } from "./keys.ts";

export interface PunchRole {
  /** Whether others may punch through to this node: while it lends. */
  readonly answers: boolean;
  /** The first of its UDP ports. */
  readonly port: number;
  /** The IPv4 address at which others reach those very ports. Undefined: a NAT is in the way, or nobody has looked. */
  readonly publicHost?: string | undefined;
}

export interface PresenceDeps {
  readonly engine: Engine;
  readonly keys: Keys;
  readonly door: Doorkeeper;
  /** Whether packets may be sent there because another node said so. */
  readonly mayReach: (address: Address) => boolean;
  /** Takes in who has punched through to this node. */
  readonly take: (pipe: Pipe) => void;
  /** What is published under the own key, while this node answers. */
  readonly record: () => NodeRecord;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

export interface Surroundings {
  /** Where nodes of the table say that they answer. */
  readonly bootstrap: readonly Address[];
  /** Nodes that were known once. */
  readonly saved: readonly Address[];
  /** The address to bind. */
  readonly host: string;
}

/** A node counts as reachable in the DHT by its ports, and punching needs three or four of them (transport.md, 3.2). */
const ENOUGH_REACHABLE = 4;
const ENDPOINTS_WHILE_FEW = 4;
/** DHT nodes forget after 20 min who passes packets on to whom. */
const ANNOUNCE_MS = 8 * 60_000;
/** They keep records for 48 h, but in memory: a restarted one has none. About 20 KB a time. */
const PUBLISH_MS = 60 * 60_000;
const GOOD_BYE_MS = 500;

export class Presence implements AsyncDisposable {
  readonly role: PunchRole;
  readonly #deps: PresenceDeps;
  readonly #endpoints: Endpoints;
  #answerer: Answerer | undefined;
  #fedWith: string;
  #announcedAt: number;
  #published: { readonly seq: number; readonly at: number } | undefined;
  /** Streams that this end opened. */
  #own = 0;

  /** @throws {Failure} port-in-use */
  static async open(deps: PresenceDeps, role: PunchRole, { bootstrap, saved, host }: Surroundings): Promise<Presence> {
    const { engine, keys, mayReach, clock, log } = deps;
    const { port, publicHost, answers } = role;
    const options = {
      bootstrap,
      nodes: saved.filter(mayReach),
      keyPair: keys.keyPair,
      host,
      port,
      publicHost,
      mayReach,
    };
    const presence = new Presence(deps, role, {
      endpoints: await openEndpoints({ engine, clock, log }, options),
      bootstrap,
    });
    await presence.answer(answers);
    log.info("the DHT is open", { port, reachable: publicHost !== undefined, answers });
    return presence;
  }

  private constructor(
    deps: PresenceDeps,
    role: PunchRole,
    { endpoints, bootstrap }: { readonly endpoints: Endpoints; readonly bootstrap: readonly Address[] },
  ) {
    this.role = role;
    this.#deps = deps;
    this.#endpoints = endpoints;
    this.#fedWith = JSON.stringify(bootstrap);
    this.#announcedAt = deps.clock.now();
  }

  get dht(): Dht {
    return this.#endpoints.first;
  }

  get endpoints(): number {
    return this.#endpoints.count;
  }

  /** Nodes that were asked at first. */
  get asked(): number {
    return (JSON.parse(this.#fedWith) as unknown[]).length;
  }

  /** DHT nodes that answered lately. */
  get nodes(): readonly Address[] {
    return this.#endpoints.nodes;
  }

  /** Whether others find this node by its key. */
  get isFound(): boolean {
    return this.#answerer !== undefined && (this.role.publicHost !== undefined || this.#answerer.relays > 0);
  }

  get isPublished(): boolean {
    return this.#published !== undefined;
  }

  /** Whose streams go through its ports, or are about to: those that this end opened, and those of nodes that it knows, come first. */
  get usedBy(): "nobody" | "strangers" | "known" {
    if (this.#own > 0 || this.#deps.door.known > 0) return "known";
    return Array.from(this.dht.rawStreams).length > 0 ? "strangers" : "nobody";
  }

  /** This end opens a stream. @returns to be disposed of when it has ended; more than once is the same as once */
  use(): Disposable {
    this.#own++;
    const use = new DisposableStack();
    use.defer(() => void this.#own--);
    return use;
  }

  /** Lets others punch through to this node, or no more. What came before goes on. */
  async answer(wanted: boolean): Promise<void> {
    if (wanted) this.#answerer ??= Answerer.open({ ...this.#deps, dht: this.dht });
    else {
      await this.#sayGoodBye();
      this.#answerer = undefined;
      this.#published = undefined;
    }
  }

  /** What is due by now. */
  async tend(bootstrap: readonly Address[], signal: AbortSignal): Promise<void> {
    const now = this.#deps.clock.now();
    const isNews = this.#fedWith !== JSON.stringify(bootstrap);
    this.#fedWith = JSON.stringify(bootstrap);
    if (isNews || this.nodes.length === 0) this.#endpoints.feed(bootstrap);
    if (this.#answerer === undefined) return;
    await this.#endpoints.resize(wantedEndpoints(bootstrap));
    const isLost =
      isNews || (this.role.publicHost === undefined && (await orAborted(this.#answerer.isForgotten(), signal)));
    if (isLost) this.#published = undefined;
    if (isLost || now - this.#announcedAt >= ANNOUNCE_MS || !this.isFound) {
      this.#announcedAt = now;
      this.#answerer.announce();
    }
    await this.#publish(signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#sayGoodBye();
    await this.#endpoints[Symbol.asyncDispose]();
  }

  /** Tells the DHT that it is gone, unless that takes long: silent nodes cost seconds, and forget by themselves. */
  async #sayGoodBye(): Promise<void> {
    const answerer = this.#answerer;
    if (answerer === undefined) return;
    await using wait = new Scope();
    await Promise.race([answerer[Symbol.asyncDispose](), this.#deps.clock.sleep(GOOD_BYE_MS, wait.signal)]);
  }

  async #publish(signal: AbortSignal): Promise<void> {
    const { record, keys, clock, log } = this.#deps;
    const own = record();
    const isDue = this.#published === undefined || clock.now() - this.#published.at >= PUBLISH_MS;
    if (!isDue && own.seq === this.#published?.seq) return;
    try {
      await orAborted(this.dht.mutablePut(keys.keyPair, encodeKeyRecord(own), { seq: own.seq }), signal);
      this.#published = { seq: own.seq, at: clock.now() };
    } catch (error) {
      signal.throwIfAborted();
      log.debug("the DHT took no record", { why: reasonOf(error) }); // the next time tries again
    }
  }
}

async function openEndpoints(...[deps, options]: Parameters<typeof Endpoints.open>): Promise<Endpoints> {
  try {
    return await Endpoints.open(deps, options);
  } catch (cause) {
    const why = cleanText(reasonOf(cause), 120);
    throw new Failure("port-in-use", `the DHT cannot bind UDP port ${options.port}: ${why}`, { cause });
  }
}

function wantedEndpoints(others: readonly Address[]): number {
  const hosts = new Set(others.map(({ host }) => host));
  return hosts.size + 1 < ENOUGH_REACHABLE ? ENDPOINTS_WHILE_FEW : 1;
}
