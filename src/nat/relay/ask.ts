/** What a node asks of those that shall pass others on to it. */

import { ask, type Link } from "../../network/index.ts";
import { RegisterReply } from "./contract.ts";

/** @returns how long it holds @throws {Failure} not-allowed, busy, link-lost, bad-reply */
export async function askRegister(link: Link, signal: AbortSignal): Promise<number> {
  const question = { method: "POST", path: "/v1/relay/registrations", body: {}, reply: RegisterReply } as const;
  return (await ask(link, question, signal)).ttlMs;
}
