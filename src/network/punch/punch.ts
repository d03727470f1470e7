/**
 * Ways through NATs: HyperDHT finds the other node by its key and punches, we see that the hole leads to it.
 *
 * The DHT is a private one, formed by the nodes of this network that UDP reaches. A node that lends can be found in it
 * and helps others; one that does not opens its end when it first dials, and answers nobody. Where the native
 * modules do not load, or punching is turned off, there are no such ways, and `state` says why.
 */

import { Scope, Topic } from "../../base/index.ts";
import { cleanText, Failure, type NodeId, publicKeyFromNodeId } from "../../core/index.ts";
import type { Pipe } from "../carrier.ts";
import { orAborted } from "../host-names.ts";
import type { Identity } from "../identity.ts";
import type { Dialable } from "../link.ts";
import type { Hindrance, Passage, PassageWay } from "../passage.ts";
import { punch } from "./dial.ts";
import { Doorkeeper, type DoorkeeperOptions } from "./doorkeeper.ts";
import { reasonOf } from "./endpoints.ts";
import { decodeKeyRecord, type Found } from "./key-record.ts";
import { Keys } from "./keys.ts";
import type { Presence, PunchRole } from "./presence.ts";
import { gistOf, type PunchState, stateOf } from "./punch-state.ts";
import { Role, type RoleDeps, type RoleOptions } from "./role.ts";
import { SharedDials } from "./shared-dials.ts";
import { Turns } from "./turns.ts";

export interface PunchDeps extends RoleDeps {
  readonly identity: Pick<Identity, "id" | "key">;
  /** Own nodes, friends and guests. */
  readonly isKnown: (id: NodeId) => boolean;
}

export interface PunchOptions extends DoorkeeperOptions, RoleOptions {
  /** Why it is turned off. @default it is not */
  readonly off?: string;
  /** Only nodes with the same one punch through to each other. @default none */
  readonly networkSecret?: string | undefined;
  /** Dials under way; others wait. @default 16 */
  readonly maxDials?: number;
}

/** TCP gets a head start: where it can be had it is ten times as fast. */
const HEAD_START_MS = 300;
const TICK_MS = 30_000;
/** While a node that wants to be found has met nobody yet, or waits for streams to end. */
const EAGER_TICK_MS = 5_000;

const NOBODY_KNOWN = "no node of the network is known that UDP reaches";
const NOBODY_ANSWERS = "no node of the DHT answers: they are gone, or this network lets no UDP through";

export class Punch implements Passage, AsyncDisposable {
  /** Something in `state` is another than before, counts aside. */
  readonly changes = new Topic<PunchState>();
  readonly #deps: PunchDeps;
  readonly #options: PunchOptions;
  readonly #door: Doorkeeper;
  readonly #keys: Keys;
  readonly #role: Role;
  readonly #turns: Turns;
  readonly #dials: SharedDials;
  #told = "";
  #wake: () => void = () => {};

  constructor(deps: PunchDeps, role: PunchRole, options: PunchOptions = {}) {
    this.#deps = deps;
    this.#options = options;
    this.#door = new Doorkeeper(deps, options);
    this.#keys = new Keys(deps.identity.key, options.networkSecret);
    this.#role = new Role({ ...deps, keys: this.#keys, door: this.#door }, role, options);
    this.#turns = new Turns(options.maxDials ?? 16);
    this.#dials = new SharedDials(deps.clock);
  }

  /** How others reach this node has changed: its ends of the DHT are opened anew where that needs it. */
  setRole(role: PunchRole): void {
    this.#role.set(role);
    this.#wake();
  }

  get state(): PunchState {
    const { presence, broken } = this.#role;
    return stateOf({ reason: this.#whyNot(), off: this.#options.off, broken, presence, door: this.#door });
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
      await this.#role.tend(signal);
      this.#tell();
      await using rest = new Scope(signal);
      const { presence, wanted, isBehind } = this.#role;
      const { nodes = [], isPublished = false } = presence ?? {};
      const isAlone = wanted.answers && (nodes.length === 0 || !isPublished);
      await Promise.race([woken, this.#deps.clock.sleep(isAlone || isBehind ? EAGER_TICK_MS : TICK_MS, rest.signal)]);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#dials[Symbol.asyncDispose]();
    await this.#role[Symbol.asyncDispose]();
  }

  async #dial({ id, asks }: { readonly id: NodeId; readonly asks: boolean }, signal: AbortSignal): Promise<Pipe> {
    using _turn = await this.#turns.take(signal);
    const presence = await this.#ready(signal);
    const { dht } = presence;
    const { mayReach, clock, random } = this.#deps;
    const createHandshake = this.#keys.handshakes(await this.#role.engine(), { mayReach });
    const target = { id, publicKey: Buffer.from(publicKeyFromNodeId(id)), asks };
    const use = presence.use();
    try {
      const pipe = await punch({ dht, createHandshake, mayReach, clock, random }, target, signal);
      pipe.duplex.once("close", () => use[Symbol.dispose]());
      return pipe;
    } catch (error) {
      use[Symbol.dispose]();
      // Who was never heard is not known to nobody: it is this node that hears nothing.
      if (error instanceof Failure && presence.nodes.length === 0)
        throw new Failure("unreachable", NOBODY_ANSWERS, { cause: error });
      throw error;
    }
  }

  /** Undefined: it can be tried. */
  #whyNot(): string | undefined {
    const { broken, presence, hasSomebodyToAsk } = this.#role;
    const unusable = this.#options.off ?? broken;
    if (unusable !== undefined) return unusable;
    return (presence?.nodes.length ?? 0) > 0 || hasSomebodyToAsk ? undefined : NOBODY_KNOWN;
  }

  #tell(): void {
    const gist = gistOf(this.state);
    if (gist === this.#told) return;
    this.#told = gist;
    this.changes.publish(this.state);
  }

  async #ready(signal: AbortSignal): Promise<Presence> {
    const { off } = this.#options;
    if (off !== undefined) throw new Failure("unreachable", off);
    const presence = await this.#role.ready(signal);
    if (presence === undefined) throw new Failure("unreachable", this.#whyNot() ?? NOBODY_KNOWN);
    return presence;
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
