/** `p2prc group tunnel`: what of a group's sandboxes reaches each other, shown and changed. */

import { cleanText, Failure, formatSize } from "../core/light.ts";
import type { GroupTunnel, TunnelPorts } from "../sandbox/index.ts";
import type { Client } from "../client/index.ts";
import { formatColumns } from "./columns.ts";
import { type Io, printJson } from "./io.ts";

export interface TunnelFlags {
  readonly port?: readonly TunnelPorts[];
  readonly stop?: boolean;
}

/** `8786`, `9000-9009`, `box2:9100-9109`. @throws {Failure} bad-argument */
export function parseTunnelPorts(text: string): TunnelPorts {
  const [, box, from = "", to = from] = /^(?:([^:\s]{1,128}):)?(\d{1,5})(?:-(\d{1,5}))?$/.exec(text) ?? [];
  const [first, last] = [Number(from), Number(to)];
  if (from !== "" && first >= 1 && first <= last && last <= 65_535)
    return { first, last, ...(box === undefined ? {} : { box }) };
  throw new Failure("bad-argument", `--port takes ports, not "${cleanText(text, 40)}"`, {
    hint: "as in 8786, 9000-9009, or box2:9100-9109",
  });
}

/** @throws {Failure} what the daemon says of it */
export async function tunnelGroup(
  client: Client,
  { group, flags, json }: { readonly group: string; readonly flags: TunnelFlags; readonly json: boolean },
  io: Io,
): Promise<void> {
  const { port: ports = [], stop = false } = flags;
  if (stop && ports.length > 0)
    throw new Failure("bad-argument", "--stop ends all of it, and --port begins some", { hint: "choose one" });
  if (ports.length > 0) io.progress("joining the sandboxes");
  const tunnel = stop
    ? await client.stopGroupTunnel(group, io.signal)
    : ports.length > 0
      ? await client.openGroupTunnel(group, ports, io.signal)
      : await client.groupTunnel(group, io.signal);
  if (json) printJson(io, tunnel);
  else if (stop) io.out(`nothing is carried between the sandboxes of ${cleanText(tunnel.group, 64)} any more`);
  else show(tunnel, io);
}

function show({ members, open, refused }: GroupTunnel, io: Io): void {
  const rows = members.map(({ name, address, state, ports }) => {
    const total = ports.reduce((sum, each) => sum + each.total, 0);
    const bytes = ports.reduce((sum, each) => sum + each.bytes, 0);
    return [name, address, state, rangesOf(ports.map(({ port }) => port)), String(total), formatSize(bytes)];
  });
  const titles = ["NAME", "ADDRESS", "STATE", "PORTS", "CONNECTIONS", "BYTES"];
  io.out(
    formatColumns(
      titles.map((title) => ({ title })),
      rows,
    ).join("\n"),
  );
  io.err(`${open} open now, ${refused} that found nobody`);
  warn(members, io);
}

function warn(members: GroupTunnel["members"], io: Io): void {
  for (const { name, state, why } of members)
    if (state === "away") io.err(`${name} is away, and joins when it is back: ${cleanText(why ?? "", 200)}`, "warn");
  const nameless = members.filter(({ state, names }) => state === "joined" && !names).map(({ name }) => name);
  if (nameless.length > 0)
    io.err(`names cannot be written down in ${nameless.join(", ")} (its /etc/hosts): use the addresses there`, "warn");
  for (const { name, taken } of members)
    if (taken.length > 0)
      io.err(`something in ${name} has the place of others: ${cleanText(taken.join(", "), 200)}`, "warn");
}

/** 8786 9000-9009 */
function rangesOf(ports: readonly number[]): string {
  const ranges: [first: number, last: number][] = [];
  for (const port of ports) {
    const last = ranges.at(-1);
    if (last !== undefined && last[1] === port - 1) last[1] = port;
    else ranges.push([port, port]);
  }
  return ranges.map(([first, last]) => (first === last ? String(first) : `${first}-${last}`)).join(" ");
}
