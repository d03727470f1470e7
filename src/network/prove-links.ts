/**
 * After the machine moved to another network or slept: which links still lead somewhere.
 *
 * TCP itself notices after minutes, and an idle link is asked once a minute only.
 */

import { type Clock, within } from "../base/index.ts";
import { Failure } from "../core/index.ts";
import type { Link } from "./link.ts";

/** A round trip to anywhere, and one packet lost on the way. */
export const PROOF_MS = 2_500;

/** Ends the links that do not answer now. @returns how many */
export async function proveLinks(links: readonly Link[], clock: Clock, signal: AbortSignal): Promise<number> {
  const ended = await Promise.all(links.map((link) => endIfSilent(link, clock, signal)));
  return ended.filter(Boolean).length;
}

async function endIfSilent(link: Link, clock: Clock, signal: AbortSignal): Promise<boolean> {
  const late = () => new Failure("link-lost", "no answer since the network changed");
  try {
    await within({ clock, timeoutMs: PROOF_MS, late }, (attempt) => link.ping(attempt), signal);
    return false;
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    link.close("it does not answer since the network changed");
    return true;
  }
}
