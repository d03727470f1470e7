/**
 * Streams on which another link runs, since this one is passed on or passes on: each end of that link watches it, whatever carries it, and
 * more closely while it is used. So such a stream alone is no reason to watch the link below closely as well: that would be four
 * times the traffic of the idle link inside.
 */

const KINDS: ReadonlySet<string> = new Set(["node", "arrive", "arrive-known"]);

/** @param target of a `CONNECT` */
export function carriesLink(target: string | undefined): boolean {
  return target !== undefined && KINDS.has(target.slice(0, Math.max(0, target.indexOf(":"))));
}
