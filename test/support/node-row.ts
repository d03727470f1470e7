/** A row of the IP table as the daemon answers it, for tests of what shows it. */

import type { NodeId } from "../../src/core/light.ts";
import type { NodeRow } from "../../src/table/index.ts";

export const someId = "y".repeat(52) as NodeId;

export function nodeRow(fields: Partial<NodeRow>): NodeRow {
  return {
    name: "node",
    id: someId,
    relation: "stranger",
    state: "heard",
    addresses: [],
    port: 8088,
    nat: "unknown",
    via: [],
    viaNames: [],
    lends: true,
    labels: [],
    info: "",
    rank: { score: 0, parts: [] },
    ...fields,
  };
}
