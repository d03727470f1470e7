/**
 * Who may do what here, and until when: the grants that this node gave, by key.
 *
 * All of them are held in memory, since every request asks for the caller's role. `changes` says at
 * once when one is given, changed or ended, whoever or whatever ended it; who lets a guest do
 * something listens there and stops it.
 */

import { type Clock, isAbort, type Log, Scope, Topic } from "../base/index.ts";
import {
  type Caller,
  Failure,
  type Grant,
  isLive,
  type Named,
  type NodeId,
  resolveName,
  type Role,
  shownName,
} from "../core/index.ts";
import type { AccessStore, Redemption, StoredGrant } from "./access-store.ts";
import type { ChangeRequest, GrantRow } from "./contract.ts";

export type GrantChange =
  | { readonly kind: "given" | "changed"; readonly id: NodeId; readonly grant: Grant }
  | { readonly kind: "ended"; readonly id: NodeId; readonly why: "revoked" | "expired" };

export interface GrantsDeps {
  readonly store: AccessStore;
  /** The name that a node has here, if any. */
  readonly nameOf: (id: NodeId) => string | undefined;
  readonly clock: Clock;
  readonly log: Log;
}

export interface GrantsOptions {
  /** Ended ones count too, until they are revoked. @default 1_024 */
  readonly maxGrants?: number;
}

interface Entry {
  stored: StoredGrant;
  /** Whether it held when last looked at, so that its end is told once. */
  live: boolean;
}

/** The calendar may jump, so the end of a grant is looked for now and then, also when it seems far. */
const LOOK_EVERY_MS = 60_000;

export class Grants {
  readonly changes = new Topic<GrantChange>();
  readonly #deps: GrantsDeps;
  readonly #maxGrants: number;
  readonly #entries = new Map<NodeId, Entry>();

  constructor(deps: GrantsDeps, { maxGrants = 1_024 }: GrantsOptions = {}) {
    this.#deps = deps;
    this.#maxGrants = maxGrants;
    for (const stored of deps.store.grants()) this.#entries.set(stored.id, { stored, live: true });
  }

  /** What the caller is here, now. */
  roleOf(caller: Caller): Role {
    if (caller.kind !== "node") return caller.kind;
    const kind = this.of(caller.id)?.kind;
    return kind ?? "stranger";
  }

  /** What `id` may do here now. */
  of(id: NodeId): Grant | undefined {
    const grant = this.#entries.get(id)?.stored.grant;
    return grant !== undefined && isLive(grant, this.#deps.clock.wallTime()) ? grant : undefined;
  }

  /** Oldest first. */
  list(): readonly GrantRow[] {
    return Array.from(this.#entries.values(), ({ stored }) => this.#row(stored));
  }

  /** What the holder of a grant is called here. */
  nameOf(id: NodeId): string | undefined {
    const stored = this.#entries.get(id)?.stored;
    return stored === undefined ? undefined : shownName(this.#named(stored));
  }

  /** The invite that the grant of `id` came from. */
  inviteOf(id: NodeId): string | undefined {
    return this.#entries.get(id)?.stored.invite;
  }

  /**
   * Gives what the invite grants, and takes one of its uses, both or none.
   * @throws {Failure} busy, disk-full
   */
  redeem(invite: { readonly id: string; readonly grant: Grant }, redemption: Redemption): Grant {
    const { id, name, at } = redemption;
    // A node of one's own that redeems a guest's invite keeps what it has.
    const own = this.of(id)?.kind === "own" ? this.#entries.get(id)?.stored : undefined;
    const stored = own ?? { id, grant: invite.grant, name, since: at, invite: invite.id };
    this.#refuseTooMany(id);
    this.#deps.store.redeem(invite.id, redemption, stored);
    this.#put(stored, "given");
    return stored.grant;
  }

  /** Gives `grant` by the owner's own hand. @throws {Failure} busy, disk-full */
  give(id: NodeId, { grant, name }: { readonly grant: Grant; readonly name: string }): void {
    this.#refuseTooMany(id);
    const stored = { id, grant, name, since: this.#deps.clock.wallTime(), invite: undefined };
    this.#deps.store.saveGrant(stored);
    this.#put(stored, "given");
    this.#deps.log.info("grant given", { node: id, kind: grant.kind });
  }

  /** @param node a name, an id or the start of one @throws {Failure} not-found, ambiguous, disk-full */
  change(node: string, change: ChangeRequest): GrantRow {
    const { stored } = this.#find(node);
    const { until = stored.grant.until, ...rest } = change;
    const { until: _, ...terms } = { ...stored.grant, ...rest };
    const changed = { ...stored, grant: until === undefined || until === null ? terms : { ...terms, until } };
    this.#deps.store.saveGrant(changed);
    this.#put(changed, "changed");
    this.#deps.log.info("grant changed", { node: stored.id, ...change });
    return this.#row(changed);
  }

  /**
   * Holds from now on even where the disk is full; it is then listed as ended, to be revoked once more.
   * @param node a name, an id or the start of one
   * @throws {Failure} not-found, ambiguous, disk-full
   */
  revoke(node: string): GrantRow {
    const entry = this.#find(node);
    const { stored, live } = entry;
    const row = this.#row(stored);
    entry.live = false;
    entry.stored = { ...stored, grant: { ...stored.grant, until: 0 } };
    this.#deps.log.info("grant revoked", { node: stored.id });
    if (live) this.changes.publish({ kind: "ended", id: stored.id, why: "revoked" });
    this.#deps.store.removeGrant(stored.id);
    this.#entries.delete(stored.id);
    return row;
  }

  /** Tells of grants that end by time, until `signal` aborts. Those that ended while nobody ran are told of at once. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.#noteEnds();
      await this.#pause(signal);
    }
  }

  #noteEnds(): void {
    const now = this.#deps.clock.wallTime();
    for (const entry of [...this.#entries.values()]) {
      const { stored, live } = entry;
      entry.live = isLive(stored.grant, now);
      if (!live || entry.live) continue;
      this.#deps.log.info("grant ended", { node: stored.id });
      this.changes.publish({ kind: "ended", id: stored.id, why: "expired" });
    }
  }

  /** Until the next grant may end, or the grants change. */
  async #pause(signal: AbortSignal): Promise<void> {
    await using pause = new Scope(signal);
    const { promise: changed, resolve } = Promise.withResolvers<void>();
    using _ = this.changes.on(() => resolve());
    const ms = this.#untilNextEnd();
    try {
      await Promise.race([changed, this.#deps.clock.sleep(Math.min(ms, LOOK_EVERY_MS), pause.signal)]);
    } catch (error) {
      if (!isAbort(error, signal)) throw error;
    }
  }

  #untilNextEnd(): number {
    const now = this.#deps.clock.wallTime();
    const ends = Array.from(this.#entries.values(), ({ stored, live }) => (live ? stored.grant.until : undefined));
    return Math.max(1, Math.min(...ends.map((until) => (until ?? Number.POSITIVE_INFINITY) - now)));
  }

  #put(stored: StoredGrant, kind: "given" | "changed"): void {
    const entry = this.#entries.get(stored.id) ?? { stored, live: true };
    entry.stored = stored;
    const live = isLive(stored.grant, this.#deps.clock.wallTime());
    this.#entries.set(stored.id, entry);
    if (live) {
      entry.live = true;
      this.changes.publish({ kind, id: stored.id, grant: stored.grant });
    } else this.#noteEnds();
  }

  #refuseTooMany(id: NodeId): void {
    if (this.#entries.has(id) || this.#entries.size < this.#maxGrants) return;
    throw new Failure("busy", `this node has given ${this.#maxGrants} grants, and gives no more`, {
      hint: "its owner can revoke some: `p2prc grants` lists them",
    });
  }

  #find(text: string): Entry {
    const named = Array.from(this.#entries.values(), (entry) => ({ ...this.#named(entry.stored), entry }));
    try {
      return resolveName(text, named).entry;
    } catch (error) {
      if (!(error instanceof Failure) || error.code !== "unknown-node") throw error;
      throw new Failure("not-found", error.message.replace("is known here", "holds a grant here"), {
        hint: "`p2prc grants` lists those that do",
        cause: error,
      });
    }
  }

  #named({ id, name }: StoredGrant): Named {
    return { id, joined: true, name: this.#deps.nameOf(id), claimedName: name, hosts: [] };
  }

  #row(stored: StoredGrant): GrantRow {
    const { id, grant, since, invite } = stored;
    return {
      id,
      name: shownName(this.#named(stored)),
      grant,
      ended: !isLive(grant, this.#deps.clock.wallTime()),
      since,
      ...(invite === undefined ? {} : { invite }),
    };
  }
}
