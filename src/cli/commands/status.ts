/** p2prc status: how is this node? */

import { cleanText, shortNodeId } from "../../core/light.ts";
import type { Status } from "../../daemon/index.ts";
import { formatColumns, formatFields } from "../columns.ts";
import { command } from "../command.ts";
import { formatAge, formatDecimalBytes, formatPath, formatRtt } from "../format.ts";
import { type Io, printJson } from "../io.ts";

export const status = command({
  about: "Starts no daemon: where none runs, it says so and ends with exit code 5.",
  examples: [
    { command: "p2prc status", about: "name, key, addresses, links, what to look at" },
    { command: "p2prc status --json | jq -r .id", about: "the key of this node" },
  ],
  json: {
    id: "the key of this node",
    name: "its name",
    version: "of the daemon's program",
    pid: "its process",
    startedAt: "milliseconds since 1970",
    home: "its folder",
    lends: "whether it lends",
    runtime: "what makes sandboxes here: kind, version",
    listening: "addresses it listens on",
    addresses: "where others may reach it",
    links: "links that are up: id, name, path, via (where relayed), rttMs, asks",
    nodes: "how many are joined, verified, heard, suspect",
    reach:
      "how others reach this node: nat (none, mapped, cone, symmetric, blocked, unknown), by (in words); more in `p2prc doctor`",
    relay:
      "mode (anyone, friends, no), counts of what is passed on (streams, opened, bytes, refused, overQuota), registered (nodes reached through this one), via (nodes through which this one is reached: id, name)",
    warnings: "what to look at",
    logFile: "where it writes its log",
    boot: "made anew at each start",
  },

  async run({ home, json }, io) {
    await using client = await io.open({ home, daemon: "never" });
    const answer = await client.status(io.signal);
    if (json) printJson(io, answer);
    else printStatus(answer, io);
  },
});

function printStatus(status: Status, io: Io): void {
  const up = formatAge(io.clock.wallTime() - status.startedAt);
  const { joined, verified, heard, suspect } = status.nodes;
  const { runtime: made } = status;
  const runtime: [string, string][] = made === undefined ? [] : [["Sandboxes by", `${made.kind} ${made.version}`]];
  const fields = formatFields([
    ["Name", status.name],
    ["Id", status.id],
    ["Daemon", `version ${status.version}, process ${status.pid}, up ${up === "now" ? "a moment" : up}`],
    ["Home", status.home],
    ["Lending", lendingWords(status)],
    ...runtime,
    ["Listening on", status.listening.join(", ")],
    ["Reachable at", status.addresses.join(", ")],
    ...(status.reach.by.length === 0 ? [] : [["Reached by", status.reach.by.join(", ")] as [string, string]]),
    ...aboutRelays(status),
    ["Nodes", `${joined} joined, ${verified} verified, ${heard} heard of, ${suspect} silent`],
    ["Log", status.logFile],
  ]);
  io.out(fields.join("\n"));
  if (status.links.length > 0) {
    const rows = status.links.map(({ id, name, path, via, rttMs, asks }) => [
      name,
      shortNodeId(id),
      formatPath({ path, ...(via === undefined ? {} : { via }) }),
      formatRtt(rttMs),
      asks ? "out" : "in",
    ]);
    io.out("");
    const lines = formatColumns(
      [
        { title: "LINK TO" },
        { title: "ID" },
        { title: "PATH" },
        { title: "RTT", align: "right" },
        { title: "WHO ASKS" },
      ],
      rows,
    );
    for (const [index, line] of lines.entries()) io.out(line, index === 0 ? "bold" : undefined);
  }
  for (const warning of status.warnings) io.err(`warning: ${cleanText(warning, 500)}`, "warn");
}

const WHOSE = { anyone: "for anyone, for strangers a little", friends: "for friends", no: "for nobody" } as const;

function lendingWords({ lends, listening }: Status): string {
  if (lends) return "to my own nodes and those I invited";
  return listening.length > 0 ? "nothing new; guests reach what still runs" : "no (`p2prc -s` starts it)";
}

function aboutRelays({ lends, relay: { mode, counts, registered } }: Status): [string, string][] {
  const { streams, bytes } = counts;
  const numbers = `${registered} nodes, ${streams} streams, ${formatDecimalBytes(bytes)} passed on`;
  return lends ? [["Relay", `${WHOSE[mode]}: ${numbers}`]] : [];
}
