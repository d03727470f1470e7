/** Groups as the first P2PRC printed them: the same names of fields. Its container is our sandbox. */

import type { Box, Group } from "../sandbox/index.ts";
import type { NodeRow } from "../table/index.ts";
import { seedShape } from "./seed-box.ts";

/** @param nodes for the addresses; one that is not among them is called by its name */
export function seedGroup({ id, members }: Group, nodes: readonly NodeRow[]): object {
  const tracked = members.flatMap(({ box }) =>
    box === undefined ? [] : [{ ID: box.sandbox.id, Container: seedShape(box), IpAddress: addressOf(box.node, nodes) }],
  );
  return { ID: id, TrackContainer: tracked.length === 0 ? null : tracked }; // as Go writes an empty list
}

function addressOf({ id, name }: Box["node"], nodes: readonly NodeRow[]): string {
  const { addresses: [host] = [], port = 0 } = nodes.find((row) => row.id === id) ?? {};
  if (host === undefined) return name;
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
