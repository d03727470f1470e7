/**
 * How much of this node's line others may use by being passed on, and what was used.
 *
 * Whoever pays for a stream has an account: bytes a second, bytes a day, streams at once, and for each stream its bytes and
 * its time. Keys cost nothing, so strangers at one address share an account too, and so do all who are not trusted.
 * Accounts begin anew with the daemon.
 */

import { type Clock, LruMap } from "../../base/index.ts";
import { Failure, formatSize, type NodeId } from "../../core/index.ts";
import type { LastWord } from "../../network/index.ts";

export interface Quota {
  readonly bytesPerSecond: number;
  readonly bytesPerDay: number;
  readonly streams: number;
  readonly bytesPerStream: number;
  readonly msPerStream: number;
}

/** trusted: own nodes and friends; guest: holds a grant that says so; stranger: everybody else. */
export const relayRanks = ["trusted", "guest", "stranger"] as const;
export type RelayRank = (typeof relayRanks)[number];

const MIB = 1024 ** 2;
const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;

/**
 * Strangers get what it takes to find a better path (a ping, a table, the signals for punching), and no more: libp2p's relays give
 * two minutes and 128 KiB. Guests get an evening of work. Own nodes and friends are held to nothing.
 */
export const defaultQuotas: Readonly<Record<RelayRank, Quota>> = {
  trusted: {
    bytesPerSecond: Number.POSITIVE_INFINITY,
    bytesPerDay: Number.POSITIVE_INFINITY,
    streams: 512,
    bytesPerStream: Number.POSITIVE_INFINITY,
    msPerStream: Number.POSITIVE_INFINITY,
  },
  guest: {
    bytesPerSecond: 8 * MIB,
    bytesPerDay: 20 * 1024 * MIB,
    streams: 32,
    bytesPerStream: Number.POSITIVE_INFINITY,
    msPerStream: 12 * 60 * MINUTE_MS,
  },
  stranger: {
    bytesPerSecond: 128 * 1024,
    bytesPerDay: 16 * MIB,
    streams: 16, // one for each node behind this relay that he visits
    bytesPerStream: MIB / 2,
    msPerStream: 2 * MINUTE_MS,
  },
};

/** Guests and strangers together. */
const defaultShared: Quota = {
  bytesPerSecond: 16 * MIB,
  bytesPerDay: 100 * 1024 * MIB,
  streams: 512,
  bytesPerStream: Number.POSITIVE_INFINITY,
  msPerStream: Number.POSITIVE_INFINITY,
};
/** Strangers at one address, who may be many behind one NAT: as much as four of them. */
const PER_GROUP = 4;
/** Strangers together. */
const defaultStrangers: Quota = {
  ...defaultShared,
  bytesPerSecond: MIB,
  bytesPerDay: 2 * 1024 * MIB,
  streams: 256,
};
/** Accounts of each kind that are remembered; whoever falls out had the fewest streams of late. */
const MAX_ACCOUNTS = 4_096;
/** What may go at once after a pause. */
const BURST_MS = 1_000;

export interface QuotasOptions {
  readonly ranks?: Partial<Record<RelayRank, Quota>>;
  readonly shared?: Partial<Quota>;
  readonly strangers?: Partial<Quota>;
}

/** Who is to pay for a stream. */
export interface Payer {
  readonly id: NodeId;
  readonly rank: RelayRank;
  /** The machine that a stranger comes from, see `remoteGroup`. Undefined: many may well come from there, as from a LAN. */
  readonly group?: string | undefined;
}

/** How long to wait before the bytes go on, or the limit by which the stream ends. */
export type Spent =
  | { readonly kind: "after"; readonly ms: number }
  | { readonly kind: "over"; readonly limit: LastWord };

/** One stream that is passed on. */
export interface Allowance {
  spend(bytes: number): Spent;
  readonly msLeft: number;
  /** By which it ends when that is over. */
  readonly timeLimit: LastWord;
  /** Gives its place back. Twice is the same as once. */
  end(): void;
}

export class Quotas {
  readonly #clock: Clock;
  readonly #quotas: Readonly<Record<RelayRank, Quota>>;
  readonly #accounts = new LruMap<NodeId, Account>(MAX_ACCOUNTS);
  readonly #groups = new LruMap<string, Account>(MAX_ACCOUNTS);
  readonly #ofGroup: Quota;
  readonly #shared: Account;
  readonly #strangers: Account;

  constructor(clock: Clock, { ranks, shared, strangers }: QuotasOptions = {}) {
    this.#clock = clock;
    this.#quotas = { ...defaultQuotas, ...ranks };
    const { bytesPerSecond, bytesPerDay, streams, ...rest } = this.#quotas.stranger;
    this.#ofGroup = {
      ...rest,
      bytesPerSecond: PER_GROUP * bytesPerSecond,
      bytesPerDay: PER_GROUP * bytesPerDay,
      streams: PER_GROUP * streams,
    };
    this.#shared = new Account(clock, { ...defaultShared, ...shared }, "all");
    this.#strangers = new Account(clock, { ...defaultStrangers, ...strangers }, "strangers");
  }

  /** @throws {Failure} busy, too-often */
  open({ id, rank, group }: Payer): Allowance {
    const quota = this.#quotas[rank];
    const accounts = [this.#accountOf(this.#accounts, id, { quota, whose: rank }), ...this.#common(rank)];
    if (rank === "stranger" && group !== undefined)
      accounts.push(this.#accountOf(this.#groups, group, { quota: this.#ofGroup, whose: "address" }));
    for (const account of accounts) account.check();
    for (const account of accounts) account.streams++;
    let spent = 0;
    let open = true;
    return {
      msLeft: quota.msPerStream,
      timeLimit: { what: "time", whose: rank, limit: quota.msPerStream },
      spend: (bytes) => {
        spent += bytes;
        const { bytesPerStream: limit } = quota;
        if (spent > limit) return { kind: "over", limit: { what: "bytes", whose: rank, limit } };
        const all = accounts.map((account) => account.spend(bytes));
        const waitMs = Math.max(...all.map((one) => (one.kind === "after" ? one.ms : 0)));
        return all.find(({ kind }) => kind === "over") ?? { kind: "after", ms: waitMs };
      },
      end: () => {
        if (open) for (const account of accounts) account.streams--;
        open = false;
      },
    };
  }

  #common(rank: RelayRank): readonly Account[] {
    if (rank === "trusted") return [];
    return rank === "guest" ? [this.#shared] : [this.#strangers, this.#shared];
  }

  #accountOf<K>(
    accounts: LruMap<K, Account>,
    key: K,
    { quota, whose }: { readonly quota: Quota; readonly whose: LastWord["whose"] },
  ): Account {
    const known = accounts.get(key);
    // Whoever was promoted or demoted since begins anew: what runs ends by the account that it has.
    if (known?.quota === quota) return known;
    const account = new Account(this.#clock, quota, whose);
    accounts.set(key, account);
    return account;
  }
}

/** As whoever asks is told. */
const PAYERS: Readonly<Record<LastWord["whose"], string>> = {
  stranger: "for you",
  guest: "for you",
  trusted: "for you",
  address: "for your address",
  strangers: "by this relay for strangers",
  all: "by this relay",
};

class Account {
  readonly quota: Quota;
  readonly #clock: Clock;
  readonly #whose: LastWord["whose"];
  streams = 0;
  #day = 0;
  #today = 0;
  /** When what was taken so far will have been paid for. */
  #paidAt = 0;

  constructor(clock: Clock, quota: Quota, whose: LastWord["whose"]) {
    this.#clock = clock;
    this.quota = quota;
    this.#whose = whose;
  }

  /** Whether one more stream may open. @throws {Failure} busy, too-often */
  check(): void {
    const { streams, bytesPerDay } = this.quota;
    const of = PAYERS[this.#whose];
    if (this.streams >= streams) {
      throw new Failure("busy", `${streams} links are passed on ${of} already`, {
        hint: "try again in a minute, or ask the owner of the relay for an invite",
      });
    }
    this.#turnDay();
    if (this.#today >= bytesPerDay) {
      throw new Failure("too-often", `${formatSize(bytesPerDay)} were passed on ${of} today, and that is all`, {
        hint: "use another relay, or ask the owner of this one for an invite",
      });
    }
  }

  spend(bytes: number): Spent {
    const { bytesPerSecond, bytesPerDay } = this.quota;
    this.#turnDay();
    this.#today += bytes;
    if (this.#today > bytesPerDay)
      return { kind: "over", limit: { what: "day", whose: this.#whose, limit: bytesPerDay } };
    if (bytesPerSecond === Number.POSITIVE_INFINITY) return { kind: "after", ms: 0 };
    const now = this.#clock.now();
    this.#paidAt = Math.max(this.#paidAt, now - BURST_MS) + (bytes / bytesPerSecond) * 1_000;
    return { kind: "after", ms: Math.max(0, this.#paidAt - now) };
  }

  #turnDay(): void {
    const day = Math.floor(this.#clock.now() / DAY_MS);
    if (day !== this.#day) this.#today = 0;
    this.#day = day;
  }
}
