/** Nodes on a screen: the aligned table, and the blocks of the first P2PRC. */

import { isIPv4, isIPv6 } from "node:net";
import { cleanText, shortNodeId } from "../core/light.ts";
import type { NodeRow } from "../table/index.ts";
import { type Column, formatColumns } from "./columns.ts";
import { formatAge, formatBytes, formatRate, formatRtt, formatSeedLatency } from "./format.ts";
import type { Io } from "./io.ts";

export type SortKey = "rtt" | "down" | "up";

const columns: readonly Column[] = [
  { title: "NAME" },
  { title: "ID" },
  { title: "PATH" },
  { title: "RTT", align: "right" },
  { title: "DOWN", align: "right" },
  { title: "UP", align: "right" },
  { title: "CPU", align: "right" },
  { title: "MEMORY", align: "right" },
  { title: "GPU" },
  { title: "SEEN" },
];

/** Those that were not measured come last. Without a key, as the daemon ranks them. */
export function sortNodes(nodes: readonly NodeRow[], by: SortKey | undefined): readonly NodeRow[] {
  switch (by) {
    case undefined:
      return nodes;
    case "rtt":
      return nodes.toSorted((a, b) => (a.rttMs ?? Number.POSITIVE_INFINITY) - (b.rttMs ?? Number.POSITIVE_INFINITY));
    case "down":
      return nodes.toSorted((a, b) => (b.downBytesPerSecond ?? -1) - (a.downBytesPerSecond ?? -1));
    case "up":
      return nodes.toSorted((a, b) => (b.upBytesPerSecond ?? -1) - (a.upBytesPerSecond ?? -1));
  }
}

export function printNodes(nodes: readonly NodeRow[], { explain }: { readonly explain: boolean }, io: Io): void {
  const now = io.clock.wallTime();
  const [titles = "", ...lines] = formatColumns(
    columns,
    nodes.map((node) => cellsOf(node, now)),
  );
  if (nodes.length > 0) io.out(titles, "bold");
  for (const [index, node] of nodes.entries()) {
    io.out(lines[index] ?? "", node.relation === "stranger" ? "dim" : undefined);
    if (explain)
      io.out(
        explanationOf(node)
          .map((line) => `    ${line}`)
          .join("\n"),
        "dim",
      );
  }
}

/** As in the seed document: `p2prc --ls`. */
export function printSeedBlocks(nodes: readonly NodeRow[], io: Io): void {
  for (const node of nodes) {
    io.out(
      [
        `Name:       ${cleanText(node.name, 64)}`,
        `IP Address: ${node.addresses.find(isIPv4) ?? node.addresses.find((address) => !isIPv6(address)) ?? ""}`,
        `IPV6:       ${node.addresses.find(isIPv6) ?? ""}`,
        `Latency:    ${formatSeedLatency(node.rttMs)}`,
        `ServerPort: ${node.port}`,
        "----------------------------",
        "",
      ]
        .map((line) => line.trimEnd())
        .join("\n"),
    );
  }
}

function cellsOf(node: NodeRow, now: number): readonly string[] {
  const { resources } = node;
  return [
    node.name,
    shortNodeId(node.id),
    node.path ?? "",
    formatRtt(node.rttMs),
    formatRate(node.downBytesPerSecond),
    formatRate(node.upBytesPerSecond),
    resources === undefined ? "" : String(resources.cpus),
    resources === undefined ? "" : formatBytes(resources.memoryBytes),
    formatGpus(resources?.gpus ?? []),
    formatSeen(node, now),
  ];
}

/** `now`, or how long ago; with what is the matter where it does not answer. */
export function formatSeen({ lastSeen, state }: Pick<NodeRow, "lastSeen" | "state">, now: number): string {
  const age = lastSeen === undefined ? "never" : formatAge(now - Date.parse(lastSeen));
  if (state === "suspect") return `${age} (silent)`;
  return state === "trying" ? `${age} (trying)` : age;
}

/** `RTX 4090 24G`, `2x A100 80G`: without the maker's name, which says nothing more. */
export function formatGpus(gpus: readonly { readonly model: string; readonly memoryBytes: number }[]): string {
  const counts = new Map<string, number>();
  for (const { model, memoryBytes } of gpus) {
    const short = model
      .replace(/^(NVIDIA|AMD|Advanced Micro Devices.*?\]|Intel)\s+/i, "")
      .replace(/^(GeForce|Radeon(?= RX))\s+/i, "");
    const text = memoryBytes === 0 ? short : `${short} ${Math.round(memoryBytes / 2 ** 30)}G`;
    counts.set(text, (counts.get(text) ?? 0) + 1);
  }
  return [...counts].map(([text, count]) => (count === 1 ? text : `${count}x ${text}`)).join(", ");
}

function explanationOf({ rank }: NodeRow): readonly string[] {
  const parts = formatColumns(
    [{ title: "POINTS", align: "right" }, { title: "PART" }, { title: "WHY" }],
    [
      ...rank.parts.map(({ part, points, why }) => [points.toFixed(1), part, why]),
      [rank.score.toFixed(1), "sum", "of all parts"],
    ],
  );
  return parts.slice(1);
}
