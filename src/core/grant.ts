/**
 * What a node lets another one do on it, and until when.
 *
 * The amounts are for all of a guest's sandboxes together. A node of one's own (`kind: "own"`) is not
 * held to them. A grant comes from an invite or from the owner's own hand, never from what others say.
 */

import { type Static, Type } from "typebox";
import { formatDuration, MAX_DURATION_MS } from "./duration.ts";
import { formatSize } from "./size.ts";

const Count = (maximum: number) => Type.Integer({ minimum: 0, maximum });
const Bytes = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });

export const Grant = Type.Object(
  {
    /** own: another machine of the same person, for whom nothing below is a limit. */
    kind: Type.Enum(["guest", "own"]),
    /** At once. */
    sandboxes: Count(1_000),
    /** Cores, with fractions. */
    cpus: Type.Number({ minimum: 0, maximum: 65_536 }),
    memoryBytes: Bytes,
    diskBytes: Bytes,
    gpus: Count(64),
    /** How long one sandbox may live. */
    maxLifetimeMs: Type.Integer({ minimum: 1_000, maximum: MAX_DURATION_MS }),
    /** internet: filtered, never the owner's own networks. */
    network: Type.Enum(["none", "internet"]),
    /** Ports that the guest may reach in sandboxes, at once. */
    ports: Count(1_000),
    /** Whether ports may be opened to the public on this node. */
    publish: Type.Boolean(),
    /** Whether this node passes links on for the guest. */
    relay: Type.Boolean(),
    /** Wall time of the node that grants, in milliseconds since 1970. Absent: until it is revoked. */
    until: Type.Optional(Type.Integer({ minimum: 0, maximum: 8.64e15 })),
  },
  { additionalProperties: false },
);
export type Grant = Static<typeof Grant>;

/**
 * What a guest gets where the owner says no more: two sandboxes of 1 core, 1 GiB and 10 GiB, for a working
 * day, with the filtered internet and links passed on; no GPU, nothing in public.
 */
export const defaultGrant: Grant = Object.freeze({
  kind: "guest",
  sandboxes: 2,
  cpus: 2,
  memoryBytes: 2 * 1024 ** 3,
  diskBytes: 20 * 1024 ** 3,
  gpus: 0,
  maxLifetimeMs: 8 * 3_600_000,
  network: "internet",
  ports: 8,
  publish: false,
  relay: true,
});

/** What a guest would have in all, the new sandbox included. What it leaves out it does not want. */
export interface Demand {
  readonly sandboxes?: number;
  readonly cpus?: number;
  readonly memoryBytes?: number;
  readonly diskBytes?: number;
  readonly gpus?: number;
  readonly lifetimeMs?: number;
  readonly network?: Grant["network"];
  readonly ports?: number;
  readonly publish?: boolean;
  readonly relay?: boolean;
}

export interface Excess {
  readonly what: keyof Demand;
  /** In a sentence: `6 GiB of memory in all, allowed are 2 GiB (4 GiB too much)`. */
  readonly why: string;
}

interface Amount {
  readonly what: "sandboxes" | "cpus" | "memoryBytes" | "diskBytes" | "gpus" | "lifetimeMs" | "ports";
  readonly limit: "sandboxes" | "cpus" | "memoryBytes" | "diskBytes" | "gpus" | "maxLifetimeMs" | "ports";
  readonly word: string;
  readonly show: (amount: number) => string;
}

const AMOUNTS: readonly Amount[] = [
  { what: "sandboxes", limit: "sandboxes", word: "sandboxes at once", show: String },
  { what: "cpus", limit: "cpus", word: "cores in all", show: (cores) => String(Math.round(cores * 1000) / 1000) },
  { what: "memoryBytes", limit: "memoryBytes", word: "memory in all", show: formatSize },
  { what: "diskBytes", limit: "diskBytes", word: "disk in all", show: formatSize },
  { what: "gpus", limit: "gpus", word: "GPUs in all", show: String },
  { what: "lifetimeMs", limit: "maxLifetimeMs", word: "of lifetime", show: formatDuration },
  { what: "ports", limit: "ports", word: "ports at once", show: String },
];

/** By how much `demand` goes over `grant`, and what is allowed. Empty when all of it is allowed. */
export function exceeds(grant: Grant, demand: Demand): readonly Excess[] {
  if (grant.kind === "own") return [];
  const excesses: Excess[] = [];
  for (const { what, limit, word, show } of AMOUNTS) {
    const [asked, allowed] = [demand[what] ?? 0, grant[limit]];
    if (asked <= allowed) continue;
    excesses.push({
      what,
      why: `${show(asked)} ${word}, allowed are ${show(allowed)} (${show(asked - allowed)} too much)`,
    });
  }
  if (demand.network === "internet" && grant.network === "none")
    excesses.push({ what: "network", why: "a way to the internet, allowed is none" });
  if (demand.publish === true && !grant.publish)
    excesses.push({ what: "publish", why: "a public port, allowed is none" });
  if (demand.relay === true && !grant.relay) excesses.push({ what: "relay", why: "links passed on, allowed are none" });
  return excesses;
}

/** Whether it still holds. */
export function isLive(grant: Pick<Grant, "until">, wallTime: number): boolean {
  return grant.until === undefined || wallTime < grant.until;
}
