/** What one daemon asks another about itself. */

import { ask, type Link } from "../network/index.ts";
import { NodeDescription } from "./contract.ts";

/** @param boot ours, for a node that has our key: so it learns that it is another one @throws {Failure} what ask() throws */
export function askDescription(link: Link, boot: string, signal: AbortSignal): Promise<NodeDescription> {
  return ask(link, { method: "GET", path: `/v1/node?boot=${boot}`, reply: NodeDescription }, signal);
}
