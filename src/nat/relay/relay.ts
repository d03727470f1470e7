/**
 * Passes byte streams on to nodes that nobody can dial: `CONNECT node:<id>` here becomes `CONNECT arrive:<who asks>` there.
 *
 * It asks over a link that is there already and never dials, so it leads to registered nodes and nowhere else. What it passes on
 * is TLS between the two ends. Whoever of the two is better known here pays, by the quota of that rank; but nobody pays for a
 * stranger of his own, who has what a stranger has.
 */

import type { Duplex } from "node:stream";
import { type Clock, type Log, Scope, within } from "../../base/index.ts";
import { admits, type Caller, Failure, isNodeId, type NodeId, shortNodeId } from "../../core/index.ts";
import type { Link } from "../../network/index.ts";
import type { RelayCounts, RelayMode } from "./contract.ts";
import { passOn } from "./pass-on.ts";
import { type Allowance, Quotas, type QuotasOptions, type RelayRank, relayRanks } from "./quotas.ts";
import { Registrations, type RegistrationsOptions } from "./registrations.ts";

export interface RelayDeps {
  readonly existing: (id: NodeId) => Link | undefined;
  readonly rankOf: (id: NodeId) => RelayRank;
  /** Who counts as one among strangers. Undefined: where many may well come from, as from a LAN. */
  readonly groupOf: (remote: string) => string | undefined;
  /** Whether this node lends: only then does it help others to be reached. */
  readonly lends: () => boolean;
  readonly clock: Clock;
  readonly log: Log;
}

export interface RelayOptions {
  /**
   * anyone: two newcomers who know nobody must meet somehow, and every node that can be reached is all there is for that. What a
   * stranger gets is small, goes only to nodes that asked for it, and is nothing that this node could read.
   * @default "anyone"
   */
  readonly mode?: RelayMode;
  readonly quotas?: QuotasOptions;
  readonly registrations?: RegistrationsOptions;
}

/** The node is on a link that was alive a moment ago: two of its round trips, and no more. */
const ARRIVE_TIMEOUT_MS = 5_000;
/** Questions at once whether a node knows whoever asks. */
const MAX_ASKING = 4;

/** What one node asks for, as far as this relay may do it. */
interface Asked {
  /** To the node that is meant. */
  readonly link: Link;
  readonly asker: NodeId;
  /** Of the better known of the two: for it this relay may be off. */
  readonly rank: RelayRank;
  readonly group: string | undefined;
}

interface Opened {
  readonly far: Duplex;
  readonly allowance: Allowance;
}

export class Relay implements AsyncDisposable {
  readonly registrations: Registrations;
  readonly #deps: RelayDeps;
  readonly #quotas: Quotas;
  readonly #counts = { streams: 0, opened: 0, bytes: 0, refused: 0, overQuota: 0 };
  #mode: RelayMode;
  /** Who is about to be passed on at somebody else's cost, and how often. */
  readonly #asking = new Map<NodeId, number>();
  /** Everything that is passed on now, by who pays for it. */
  readonly #running = new Map<RelayRank, Scope>();

  constructor(deps: RelayDeps, options: RelayOptions = {}) {
    this.#deps = deps;
    this.#mode = options.mode ?? "anyone";
    this.#quotas = new Quotas(deps.clock, options.quotas);
    const isKnown = (id: NodeId) => deps.rankOf(id) !== "stranger";
    this.registrations = new Registrations(
      { existing: (id) => this.#linkTo(id), isKnown, clock: deps.clock },
      options.registrations,
    );
  }

  get mode(): RelayMode {
    return this.#mode;
  }

  /** What runs for those who may no longer be passed on ends at once. */
  async turn(mode: RelayMode): Promise<void> {
    if (mode === this.#mode) return;
    this.#mode = mode;
    this.#deps.log.info("relaying", { mode });
    for (const rank of relayRanks) {
      if (this.#allows(rank)) continue;
      this.registrations.end((id) => this.#deps.rankOf(id) === rank);
      await this.#endAll(rank);
    }
  }

  get counts(): RelayCounts {
    return { ...this.#counts };
  }

  /** A node will hold a link to this one and wants to be reached over it. @returns for how long @throws {Failure} not-allowed, busy */
  register({ id, remote }: { readonly id: NodeId; readonly remote: string }): number {
    this.#admit(this.#deps.rankOf(id));
    return this.registrations.add(id, this.#deps.groupOf(remote));
  }

  /** The row of the table of tunnels. */
  get tunnel() {
    return {
      kind: "node",
      admits: admits.nodes,
      open: (rest: string, caller: Caller, signal: AbortSignal) => this.#open(rest, caller, signal),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.registrations.end(() => true);
    for (const rank of relayRanks) await this.#endAll(rank);
  }

  async #endAll(rank: RelayRank): Promise<void> {
    const running = this.#running.get(rank);
    this.#running.delete(rank);
    await running?.close();
  }

  async #open(rest: string, caller: Caller, signal: AbortSignal): Promise<(stream: Duplex) => void> {
    const asked = this.#counted("refused", () => this.#judge(rest, caller));
    const { far, allowance } = (await this.#arriveKnown(asked, signal)) ?? (await this.#arrive(asked, signal));
    far.once("close", () => allowance.end());
    // Until they are joined nobody else looks after it.
    const leave = () => far.destroy();
    signal.addEventListener("abort", leave, { once: true });
    return (near) => {
      signal.removeEventListener("abort", leave);
      this.#join(near, far, { allowance, rank: asked.rank });
    };
  }

  /** @throws {Failure} bad-argument, not-allowed, unreachable */
  #judge(rest: string, caller: Caller): Asked {
    const { rankOf, groupOf } = this.#deps;
    if (caller.kind !== "node") throw new Failure("bad-argument", "only nodes are passed on");
    if (!isNodeId(rest)) {
      throw new Failure("bad-node-id", "a relay leads to nodes, which are named by their ids, and to no address", {
        hint: "use the 52 characters of a node id",
      });
    }
    const [first] = relayRanks.filter((rank) => rank === rankOf(caller.id) || rank === rankOf(rest));
    const rank = first ?? "stranger";
    this.#admit(rank);
    const link = rest === caller.id ? undefined : this.#linkTo(rest);
    if (link === undefined || !(this.registrations.has(rest) || rankOf(rest) !== "stranger")) {
      throw new Failure("unreachable", `${shortNodeId(rest)} has no link to this relay`, {
        hint: "it may be off, or have other relays by now",
      });
    }
    return { link, asker: caller.id, rank, group: groupOf(caller.remote) };
  }

  /** @throws {Failure} not-allowed */
  #admit(rank: RelayRank): void {
    const { lends } = this.#deps;
    if (lends() && this.#allows(rank)) return;
    const whom = lends() && this.#mode === "friends" ? "links of friends alone" : "no links";
    throw new Failure("not-allowed", `this node passes on ${whom}`, { hint: "use another relay" });
  }

  #allows(rank: RelayRank): boolean {
    return this.#mode === "anyone" || (this.#mode === "friends" && rank !== "stranger");
  }

  /** Over another relay it would be passed on twice, and two relays could pass on in a circle. */
  #linkTo(id: NodeId): Link | undefined {
    const link = this.#deps.existing(id);
    return link?.path.kind === "relayed" ? undefined : link;
  }

  /**
   * Where the node that is meant is better known here than whoever asks, it pays for those whom it knows: once it has said so.
   * @throws {Failure} busy, too-often, unreachable, and what that node answers
   */
  async #arriveKnown(asked: Asked, signal: AbortSignal): Promise<Opened | undefined> {
    const { link, rank, asker } = asked;
    if (this.#deps.rankOf(asker) === rank) return undefined;
    using _turn = this.#counted("overQuota", () => this.#turnOf(asker));
    const far = await this.#connect("arrive-known", asked, signal).catch((error: unknown) => {
      if (error instanceof Failure && error.code === "not-allowed") return undefined;
      throw error;
    });
    if (far === undefined) return undefined;
    try {
      return { far, allowance: this.#counted("overQuota", () => this.#quotas.open({ id: link.peer, rank })) };
    } catch (error) {
      far.destroy();
      throw error;
    }
  }

  /** One of few questions at once whether somebody is known. @throws {Failure} busy */
  #turnOf(asker: NodeId): Disposable {
    const asking = this.#asking.get(asker) ?? 0;
    if (asking >= MAX_ASKING) throw new Failure("busy", `${asking} links of yours are about to be passed on already`);
    this.#asking.set(asker, asking + 1);
    return {
      [Symbol.dispose]: () => {
        const left = (this.#asking.get(asker) ?? 1) - 1;
        if (left > 0) this.#asking.set(asker, left);
        else this.#asking.delete(asker);
      },
    };
  }

  /** @throws {Failure} busy, too-often, unreachable, and what that node answers */
  async #arrive(asked: Asked, signal: AbortSignal): Promise<Opened> {
    const { asker, group } = asked;
    const payer = { id: asker, rank: this.#deps.rankOf(asker), group };
    const allowance = this.#counted("overQuota", () => this.#quotas.open(payer));
    try {
      return { far: await this.#connect("arrive", asked, signal), allowance };
    } catch (error) {
      allowance.end();
      throw error;
    }
  }

  /** @throws {Failure} unreachable, and what that node answers */
  #connect(kind: "arrive" | "arrive-known", { link, asker }: Asked, signal: AbortSignal): Promise<Duplex> {
    const late = () => new Failure("unreachable", `${shortNodeId(link.peer)} does not answer its relay`);
    const { clock } = this.#deps;
    const connect = (attempt: AbortSignal) => link.connect(`${kind}:${asker}`, attempt);
    return within({ clock, timeoutMs: ARRIVE_TIMEOUT_MS, late }, connect, signal);
  }

  #join(
    near: Duplex,
    far: Duplex,
    { allowance, rank }: { readonly allowance: Allowance; readonly rank: RelayRank },
  ): void {
    const running = this.#running.get(rank) ?? new Scope();
    this.#running.set(rank, running);
    this.#counts.opened++;
    this.#counts.streams++;
    const onBytes = (bytes: number) => {
      this.#counts.bytes += bytes;
    };
    running.spawn(async (ending) => {
      const limit = await passOn({ near, far, allowance, onBytes, clock: this.#deps.clock }, ending);
      if (limit !== undefined) this.#counts.overQuota++;
      this.#counts.streams--;
      allowance.end();
    });
  }

  #counted<T>(what: "refused" | "overQuota", work: () => T): T {
    try {
      return work();
    } catch (error) {
      this.#counts[what]++;
      throw error;
    }
  }
}
