/**
 * A link of its own for one question to one address, from an address of this machine that may be named: what the other
 * end sees of this one is then what was meant. It is in no pool; whoever opened it closes it.
 */

import type { Clock } from "../base/index.ts";
import type { Endpoint, NodeId } from "../core/index.ts";
import type { Carrier } from "./carrier.ts";
import { H2Link } from "./h2-link.ts";
import type { Link } from "./link.ts";

export interface Errand {
  readonly endpoint: Endpoint;
  readonly expect: NodeId;
  /** @default the system's choice */
  readonly from?: string | undefined;
}

/** @throws {Failure} unreachable, wrong-key, timed-out */
export async function openErrand(
  { endpoint, expect, from }: Errand,
  { carrier, clock }: { readonly carrier: Pick<Carrier, "dial">; readonly clock: Clock },
  signal: AbortSignal,
): Promise<Link> {
  const pipe = await carrier.dial({ endpoint, expect, asks: true, from }, signal);
  return await H2Link.open(Object.assign(pipe, { peer: expect }), clock, signal);
}
