/** Asks the node at the other end of a link to dial this one, and where it may be dialled itself. */

import { type Clock, within } from "../../base/index.ts";
import { type Endpoint, Failure, type SignedRecord } from "../../core/index.ts";
import { ask, type Link } from "../../network/index.ts";
import { type CallBackReply, CallBackReply as Reply, UnverifiedReply } from "./contract.ts";

/** Up to six addresses, one after the other. */
const BACK_MS = 15_000;
/** Through a relay that is far away. */
const ANSWER_MS = 5_000;

interface Asker {
  readonly record: SignedRecord;
  readonly unverified: readonly Endpoint[];
  readonly clock: Clock;
}

/** @throws {Failure} what it answered; timed-out, link-lost, bad-reply */
export async function askCallBack(
  link: Link,
  { record, unverified, clock }: Asker,
  signal: AbortSignal,
): Promise<CallBackReply> {
  const body = { record, ...(unverified.length === 0 ? {} : { unverified }) };
  const question = { method: "POST", path: "/v1/reach/back", body, reply: Reply, clock } as const;
  return await within({ clock, ...lateAfter(BACK_MS) }, (attempt) => ask(link, question, attempt), signal);
}

/** @throws {Failure} what it answered; timed-out, link-lost, bad-reply */
export async function askUnverified(link: Link, clock: Clock, signal: AbortSignal): Promise<UnverifiedReply> {
  const question = { method: "GET", path: "/v1/reach/unverified", reply: UnverifiedReply, clock } as const;
  return await within({ clock, ...lateAfter(ANSWER_MS) }, (attempt) => ask(link, question, attempt), signal);
}

function lateAfter(timeoutMs: number) {
  return { timeoutMs, late: () => new Failure("timed-out", `no answer within ${timeoutMs / 1000} s`) };
}
