/**
 * How good a node is to use from here, and why.
 *
 * Joined nodes come first, then those that answer, then the nearer ones: halving the round trip is worth
 * ten points, and speed, jitter and recency together less than that, so they only decide between
 * nodes about equally near. The points of the parts add up to the score.
 */

export interface Rankable {
  readonly joined: boolean;
  readonly state: "heard" | "verified" | "trying" | "suspect";
  readonly rttMs?: number | undefined;
  readonly jitterMs?: number | undefined;
  readonly downBytesPerSecond?: number | undefined;
  readonly upBytesPerSecond?: number | undefined;
  /** Since it last answered. */
  readonly silentMs?: number | undefined;
  /** Whether it has what is wanted (CPU, memory, GPU). Absent: nothing is wanted. */
  readonly fits?: boolean | undefined;
}

export interface RankPart {
  readonly part: string;
  readonly points: number;
  readonly why: string;
}

export interface Rank {
  readonly score: number;
  readonly parts: readonly RankPart[];
}

const STATES = {
  verified: { points: 200, why: "answers" },
  trying: { points: 100, why: "is being tried" },
  suspect: { points: 0, why: "does not answer" },
  heard: { points: 0, why: "was not tried yet" },
} as const;

export function rank(node: Rankable): Rank {
  const state = STATES[node.state];
  const parts: RankPart[] = [
    node.joined
      ? { part: "joined", points: 1000, why: "is mine or a friend's" }
      : { part: "joined", points: 0, why: "is a stranger" },
    { part: "state", ...state },
    nearness(node.rttMs),
    steadiness(node),
    speed(node),
    recency(node.silentMs),
  ];
  if (node.fits !== undefined)
    parts.push(
      node.fits
        ? { part: "fits", points: 0, why: "has what is wanted" }
        : { part: "fits", points: -500, why: "lacks what is wanted" },
    );
  const rounded = parts.map((part) => ({ ...part, points: round(part.points) }));
  return { score: round(rounded.reduce((sum, part) => sum + part.points, 0)), parts: rounded };
}

/** 100 points at 1 ms or less, 0 at a second: ten for each halving. What was not measured stands behind what was. */
function nearness(rttMs: number | undefined): RankPart {
  if (rttMs === undefined) return { part: "near", points: 0, why: "was not measured" };
  return {
    part: "near",
    points: clamp(100 - 10 * Math.log2(Math.max(1, rttMs)), 1, 100),
    why: `round trip ${rttMs.toFixed(1)} ms`,
  };
}

/** Up to 2 points off where the jitter is as large as the round trip. */
function steadiness({ rttMs, jitterMs }: Rankable): RankPart {
  if (rttMs === undefined || jitterMs === undefined) return { part: "steady", points: 0, why: "was not measured" };
  return {
    part: "steady",
    points: -2 * clamp(jitterMs / Math.max(1, rttMs), 0, 1),
    why: `jitter ${jitterMs.toFixed(1)} ms`,
  };
}

/** Up to 3 points: the slower direction counts, 1 point at 1 MB/s, 3 at 100. */
function speed({ downBytesPerSecond, upBytesPerSecond }: Rankable): RankPart {
  const slower = Math.min(downBytesPerSecond ?? Number.POSITIVE_INFINITY, upBytesPerSecond ?? Number.POSITIVE_INFINITY);
  if (!Number.isFinite(slower)) return { part: "fast", points: 0, why: "was not measured" };
  return {
    part: "fast",
    points: clamp(1 + Math.log10(Math.max(1, slower) / 1e6), 0, 3),
    why: `${(slower / 1e6).toFixed(1)} MB/s in the slower direction`,
  };
}

/** Up to 2 points, halved by each hour of silence. */
function recency(silentMs: number | undefined): RankPart {
  if (silentMs === undefined) return { part: "recent", points: 0, why: "was never seen" };
  return {
    part: "recent",
    points: 2 * 2 ** (-Math.max(0, silentMs) / 3_600_000),
    why: `seen ${Math.round(Math.max(0, silentMs) / 1000)} s ago`,
  };
}

/** Best first; where two are equal, by id, so that the order does not jump. */
export function byRank(
  a: { readonly id: string; readonly rank: Rank },
  b: { readonly id: string; readonly rank: Rank },
): number {
  return b.rank.score - a.rank.score || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, value));
}

function round(points: number): number {
  return Math.round(points * 100) / 100;
}
