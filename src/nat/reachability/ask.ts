/** Asks another node to dial back, over a link on which it sees the address that is meant. */

import { type Clock, within } from "../../base/index.ts";
import { canonicalAddress, Failure } from "../../core/index.ts";
import { ask, type Link } from "../../network/index.ts";
import { CheckReply, type CheckRequest } from "./contract.ts";

/** A dial of three seconds, and the way there and back. */
const ANSWER_MS = 6_000;

/** @throws {Failure} too-often, busy, not-supported; timed-out, link-lost, bad-reply */
export async function askCheck(
  link: Link,
  { clock, ...request }: CheckRequest & { readonly clock: Clock },
  signal: AbortSignal,
): Promise<CheckReply> {
  const late = () => new Failure("timed-out", `no answer within ${ANSWER_MS / 1000} s`);
  const question = { method: "POST", path: "/v1/reach/check", body: request, reply: CheckReply, clock } as const;
  const reply = await within({ clock, timeoutMs: ANSWER_MS, late }, (attempt) => ask(link, question, attempt), signal);
  const observed = canonicalAddress(reply.observed);
  if (observed === undefined) throw new Failure("bad-reply", "the other node says that it saw no address");
  return { ...reply, observed };
}
