/** p2prc ps: which sandboxes do I have elsewhere, and who has some here? */

import type { Box, GuestSandbox } from "../../sandbox/index.ts";
import { endWarning } from "../box-watch.ts";
import { boxFields, formatEnd, formatLeft, formatState } from "../boxes.ts";
import { type Column, formatColumns } from "../columns.ts";
import { command } from "../command.ts";
import { formatBytes } from "../format.ts";
import { type Io, printJson } from "../io.ts";
import { formatGpus } from "../nodes.ts";

interface Flags {
  readonly guests?: boolean;
}

const columns: readonly Column[] = [
  { title: "NAME" },
  { title: "NODE" },
  { title: "ID" },
  { title: "ENDS" },
  { title: "IMAGE" },
  { title: "CPU", align: "right" },
  { title: "MEMORY", align: "right" },
  { title: "GPU" },
  { title: "PORTS" },
  { title: "STATE" },
];

export const ps = command<Flags>({
  options: [{ flags: "--guests", summary: "what others have on this machine" }],
  about:
    "All nodes are asked at once, for 2 s at most; of one that does not answer it shows what was last known, with a question mark.",
  examples: [
    { command: "p2prc ps", about: "those I have" },
    { command: "p2prc ps --guests", about: "those that others have here" },
    { command: "p2prc ps --json | jq -r '.boxes[].sandbox.name'", about: "names for a script" },
  ],
  json: {
    boxes: "list of sandboxes, oldest first",
    ...boxFields("boxes[]."),
    "(with --guests) sandboxes": "list: sandbox, guestName, stats",
    "(with --guests) frozen": "whether `p2prc panic` has frozen them",
  },

  async run({ flags, home, json }, io) {
    await using client = await io.open({ home });
    io.progress("asking the nodes");
    if (flags.guests === true) {
      const reply = await client.guests(io.signal);
      if (json) return printJson(io, reply);
      printGuests(reply.sandboxes, io);
      if (reply.frozen) io.err("all of them are frozen: `p2prc panic off` lets them go on", "warn");
      return;
    }
    const reply = await client.boxes({ ask: true }, io.signal);
    if (json) return printJson(io, reply);
    printBoxes(reply.boxes, io);
  },
});

function printBoxes(boxes: readonly Box[], io: Io): void {
  if (boxes.length === 0) {
    io.err("you have no sandbox: `p2prc touch NODE` starts one");
    return;
  }
  const now = io.clock.wallTime();
  print(
    columns,
    boxes.map((box) => cellsOf(box, now)),
    io,
  );
  for (const warning of boxes.map((box) => endWarning(box, now))) if (warning !== undefined) io.err(warning, "warn");
}

function cellsOf(box: Box, now: number): readonly string[] {
  const { sandbox, node, ports } = box;
  return [
    sandbox.name,
    node.name,
    sandbox.id,
    `${formatEnd(sandbox.expires, now)} (${formatLeft(sandbox.expires, now)})`,
    sandbox.image ?? sandbox.runtime,
    String(sandbox.cpus),
    formatBytes(sandbox.memoryBytes),
    formatGpus(sandbox.gpus),
    ports.map(({ local, internal }) => (local === internal ? String(local) : `${local}->${internal}`)).join(" "),
    formatState(box),
  ];
}

const guestColumns: readonly Column[] = [
  { title: "NAME" },
  { title: "GUEST" },
  { title: "ID" },
  { title: "ENDS" },
  { title: "IMAGE" },
  { title: "CPU", align: "right" },
  { title: "MEMORY", align: "right" },
  { title: "DISK", align: "right" },
  { title: "GPU" },
  { title: "PUBLIC" },
  { title: "STATE" },
];

function printGuests(guests: readonly GuestSandbox[], io: Io): void {
  if (guests.length === 0) {
    io.err("nobody has a sandbox on this machine");
    return;
  }
  const now = io.clock.wallTime();
  print(
    guestColumns,
    guests.map(({ sandbox, guestName, stats }) => [
      sandbox.name,
      guestName,
      sandbox.id,
      `${formatEnd(sandbox.expires, now)} (${formatLeft(sandbox.expires, now)})`,
      sandbox.image ?? sandbox.runtime,
      String(sandbox.cpus),
      of(stats?.memoryBytes, sandbox.memoryBytes),
      of(stats?.diskBytes, sandbox.diskBytes),
      formatGpus(sandbox.gpus),
      publicOf(sandbox),
      formatState({ sandbox, reach: "known" }),
    ]),
    io,
  );
}

/** Ports that anybody may connect to: here, and inside. */
function publicOf({ published = [] }: Box["sandbox"]): string {
  return published.map(({ internal, public: port }) => `${port}->${internal}`).join(" ") || "-";
}

/** What is used, of what is allowed. */
function of(used: number | undefined, limit: number): string {
  return used === undefined ? formatBytes(limit) : `${formatBytes(used)} of ${formatBytes(limit)}`;
}

function print(titles: readonly Column[], rows: readonly (readonly string[])[], io: Io): void {
  const [first = "", ...lines] = formatColumns(titles, rows);
  io.out(first, "bold");
  for (const line of lines) io.out(line);
}
