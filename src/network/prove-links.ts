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

export interface Moved {
  /** The addresses of this machine. */
  readonly here: readonly string[];
  /** came: addresses came and none went. changed: one went. slept: the machine did, and may be anywhere. */
  readonly move: "came" | "changed" | "slept";
}

export interface Proof {
  /** How long a link may be silent after the move. */
  readonly timeoutMs: number;
  /** Whether it ends then: on a line that is slow, what runs would be cut off for nothing where the link has lost nothing. */
  readonly ends: boolean;
}

export function proofFor({ local = "" }: Path, { here, move }: Moved): Proof {
  if (local === "") return { timeoutMs: PROOF_MS, ends: move !== "came" };
  if (here.includes(local)) return { timeoutMs: PROOF_MS, ends: move === "slept" };
  return { timeoutMs: GONE_MS, ends: true };
}

export interface ProofDeps extends Moved {
  readonly clock: Clock;
  /** It is silent, and may be slow or dead. */
  readonly doubt: (link: Link) => void;
}

/** Ends the links that do not answer now, where the move may be why. @returns how many */
export async function proveLinks(links: readonly Link[], deps: ProofDeps, signal: AbortSignal): Promise<number> {
  const ended = await Promise.all(links.map((link) => endIfSilent(link, deps, signal)));
  return ended.filter(Boolean).length;
}

async function endIfSilent(link: Link, deps: ProofDeps, signal: AbortSignal): Promise<boolean> {
  const late = () => new Failure("link-lost", "no answer since the network changed");
  const { timeoutMs, ends } = proofFor(link.path, deps);
  const before = link.bytesRead;
  try {
    await within({ clock: deps.clock, timeoutMs, late }, (attempt) => link.ping(attempt), signal);
    return false;
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    if (link.open && link.bytesRead !== before) return false; // the answer waits behind what arrives
    if (ends) link.close("it does not answer since the network changed");
    else deps.doubt(link);
    return ends;
  }
}
