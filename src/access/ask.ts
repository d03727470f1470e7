/** Shows a node the secret of an invite that it issued. */

import type { Link } from "../network/index.ts";
import { ask } from "../network/index.ts";
import { RedeemReply, type RedeemRequest } from "./contract.ts";

/** May be repeated: the same key gets the same answer. @throws {Failure} invite-refused, too-often, link-lost, bad-reply */
export function askRedeem(link: Link, body: RedeemRequest, signal: AbortSignal): Promise<RedeemReply> {
  return ask(link, { method: "POST", path: "/v1/redeem", body, reply: RedeemReply, maxBytes: 4_096 }, signal);
}
