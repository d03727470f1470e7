/**
 * Which users of the machine the people inside a sandbox are. Nobody inside is ever root of the host.
 *
 * A root daemon gives each sandbox 65,536 ids of its own that nobody else has. An ordinary user's daemon has its own id,
 * and for `dev` those that /etc/subuid grants it, which all its sandboxes share.
 */

import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { Failure } from "../../../core/index.ts";

export interface Users {
  /** The user of the host who starts it, and who owns its namespaces. */
  readonly outer: number;
  readonly outerGroup: number;
  /** The lines of /proc/<pid>/uid_map and gid_map. */
  readonly uidMap: string;
  readonly gidMap: string;
  /** Whether there is more than one, so that `apt` works. */
  readonly many: boolean;
}

export const RANGE_SIZE = 65_536;
/**
 * systemd calls 0x80000 to 0x6fffffff its own for containers, and from 2^31 on ids are negative for some programs; what lies
 * between is nobody's (systemd.io/UIDS-GIDS).
 */
const FIRST = 0x7000_0000;
const RANGES = (0x8000_0000 - FIRST) / RANGE_SIZE;

/**
 * The first id of a range that is in nobody's use.
 * @param home another daemon of this machine should rarely begin at the same place
 * @throws {Failure} busy
 */
export function freeRange(home: string, taken: ReadonlySet<number>): number {
  const offset = createHash("sha256").update(home).digest().readUInt32BE(0) % RANGES;
  for (let index = 0; index < RANGES; index++) {
    const base = FIRST + ((offset + index) % RANGES) * RANGE_SIZE;
    if (!taken.has(base)) return base;
  }
  throw new Failure("busy", `all ${RANGES} ranges of user ids are in use`, { hint: "end a sandbox with `p2prc kick`" });
}

/** Root inside is `base` outside. */
export function rangeFrom(base: number): Users {
  const map = `0 ${base} ${RANGE_SIZE}\n`;
  return { outer: base, outerGroup: base, uidMap: map, gidMap: map, many: true };
}

/** Root inside is the user themselves; all the others come from what was granted. */
export function subRange(user: { readonly uid: number; readonly gid: number }, granted: SubIds): Users {
  const map = (own: number, { start, count }: SubId) => `0 ${own} 1\n1 ${start} ${Math.min(count, RANGE_SIZE - 1)}\n`;
  return {
    outer: user.uid,
    outerGroup: user.gid,
    uidMap: map(user.uid, granted.uids),
    gidMap: map(user.gid, granted.gids),
    many: true,
  };
}

/** One id is all there is. */
export function singleUser({ uid, gid }: { readonly uid: number; readonly gid: number }): Users {
  return { outer: uid, outerGroup: gid, uidMap: `0 ${uid} 1\n`, gidMap: `0 ${gid} 1\n`, many: false };
}

export interface SubId {
  readonly start: number;
  readonly count: number;
}

export interface SubIds {
  readonly uids: SubId;
  readonly gids: SubId;
}

/** What `apt` and `dpkg` need: those of a whole system, up to `nobody`. */
const ENOUGH = 65_534;

/** @returns undefined where this user has none, or too few */
export async function grantedSubIds(user: {
  readonly uid: number;
  readonly name: string;
}): Promise<SubIds | undefined> {
  const [uids, gids] = await Promise.all(
    ["/etc/subuid", "/etc/subgid"].map(async (file) => {
      const text = await readFile(file, "utf8").catch(() => ""); // not there: nothing is granted
      return findSubId(text, user);
    }),
  );
  return uids === undefined || gids === undefined ? undefined : { uids, gids };
}

/** subuid(5): `name or id:first:count`, one or more for each user. */
export function findSubId(text: string, user: { readonly uid: number; readonly name: string }): SubId | undefined {
  for (const line of text.split("\n")) {
    const [who, start, count] = line.split(":");
    if (who !== user.name && who !== String(user.uid)) continue;
    if (!/^\d+$/u.test(start ?? "") || !/^\d+$/u.test(count ?? "")) continue;
    if (Number(count) >= ENOUGH) return { start: Number(start), count: Number(count) };
  }
  return undefined;
}
