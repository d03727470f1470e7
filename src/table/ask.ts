/** Asks another node for its table. */

import { ask, type Link } from "../network/index.ts";
import { MAX_REPLY_BYTES, type TableQuestion, TableReply } from "./contract.ts";

/**
 * One page. The reply is read up to its cap and held against its schema; its records are checked by the table.
 * @throws {Failure} what the other node answered; bad-reply; too-large; link-lost
 */
export function askTable(link: Link, question: TableQuestion, signal: AbortSignal): Promise<TableReply> {
  const request = { method: "POST", path: "/v1/table", body: question } as const;
  return ask(link, { ...request, reply: TableReply, maxBytes: MAX_REPLY_BYTES }, signal);
}
