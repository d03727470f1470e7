/** Asks the node at the other end of a link to dial this one. */

import { type Clock, within } from "../../base/index.ts";
import { Failure, type SignedRecord } from "../../core/index.ts";
import { ask, type Link } from "../../network/index.ts";
import { type CallBackReply, CallBackReply as Reply } from "./contract.ts";

/** Up to four addresses, one after the other. */
const ANSWER_MS = 15_000;

/** @throws {Failure} what it answered; timed-out, link-lost, bad-reply */
export async function askCallBack(
  link: Link,
  { record, clock }: { readonly record: SignedRecord; readonly clock: Clock },
  signal: AbortSignal,
): Promise<CallBackReply> {
  const late = () => new Failure("timed-out", `no answer within ${ANSWER_MS / 1000} s`);
  const question = { method: "POST", path: "/v1/reach/back", body: { record }, reply: Reply, clock } as const;
  return await within({ clock, timeoutMs: ANSWER_MS, late }, (attempt) => ask(link, question, attempt), signal);
}
