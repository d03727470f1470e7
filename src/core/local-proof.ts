/**
 * How the two ends of a named pipe show each other that they can read the token in the home,
 * without sending it: any user of a Windows machine may open a pipe, or make one of that name first.
 *
 * The client sends `p2prc-nonce` and `p2prc-proof` (side "client") with each request; the daemon
 * answers with a `p2prc-proof` (side "daemon") over the same nonce.
 */

import { createHmac } from "node:crypto";

export function localProof(token: string, side: "client" | "daemon", nonce: string): string {
  return createHmac("sha256", token).update(`p2prc local ${side}\n${nonce}`).digest("hex");
}
