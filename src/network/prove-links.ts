/**
 * After the machine moved to another network or slept: which links still lead somewhere.
 *
 * TCP itself notices after minutes, and an idle link is asked once a minute only.
 */

import { type Clock, within } from "../base/index.ts";
import { Failure } from "../core/index.ts";
import type { Link, Path } from "./link.ts";

/** A round trip to anywhere, and one packet lost on the way. */
const PROOF_MS = 2_500;
/** Where the address that it ends at is gone: an interface that went down and up again has it back by then. */
const GONE_MS = 1_000;

/** How long a link may take to answer after a move. @param here the addresses of this machine */
export function proofMs({ local }: Path, here: readonly string[]): number {
  return local === undefined || local === "" || here.includes(local) ? PROOF_MS : GONE_MS;
}

export interface ProofDeps {
  readonly clock: Clock;
  /** The addresses of this machine. */
  readonly here: readonly string[];
}

/** Ends the links that do not answer now. @returns how many */
export async function proveLinks(links: readonly Link[], deps: ProofDeps, signal: AbortSignal): Promise<number> {
  const ended = await Promise.all(links.map((link) => endIfSilent(link, deps, signal)));
  return ended.filter(Boolean).length;
}

async function endIfSilent(link: Link, { clock, here }: ProofDeps, signal: AbortSignal): Promise<boolean> {
  const late = () => new Failure("link-lost", "no answer since the network changed");
  const timeoutMs = proofMs(link.path, here);
  try {
    await within({ clock, timeoutMs, late }, (attempt) => link.ping(attempt), signal);
    return false;
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    link.close("it does not answer since the network changed");
    return true;
  }
}
