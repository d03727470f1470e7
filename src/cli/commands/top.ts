/** p2prc top: what do the sandboxes use right now? */

import type { Client } from "../../client/index.ts";
import { Failure } from "../../core/light.ts";
import type { Sandbox, Stats } from "../../sandbox/index.ts";
import { formatLeft } from "../boxes.ts";
import { type Column, formatColumns } from "../columns.ts";
import { command } from "../command.ts";
import { formatBytes, formatRate } from "../format.ts";
import { type Io, printJson } from "../io.ts";

interface Flags {
  readonly guests?: boolean;
}

interface Row {
  readonly sandbox: Sandbox;
  /** The node it is on, or the guest it is of. */
  readonly whose: string;
  readonly stats?: Stats | undefined;
}

interface Sample {
  readonly rows: readonly Row[];
  /** By Clock.now. */
  readonly at: number;
}

const EVERY_MS = 2_000;
/** Where only one frame is shown, the time between its two looks. */
const ONCE_MS = 1_000;
/** Home, and all below it gone; what scrolls is what was there before. */
const REDRAW = "\u001b[H\u001b[J";

const columns: readonly Column[] = [
  { title: "NAME" },
  { title: "NODE" },
  { title: "CPU", align: "right" },
  { title: "MEMORY", align: "right" },
  { title: "DISK", align: "right" },
  { title: "PROCESSES", align: "right" },
  { title: "IN", align: "right" },
  { title: "OUT", align: "right" },
  { title: "LINK", align: "right" },
  { title: "ENDS" },
  { title: "STATE" },
];

export const top = command<Flags>({
  options: [{ flags: "--guests", summary: "those of others on this machine" }],
  about:
    "Drawn anew every 2 s until Ctrl-C; once where this is no terminal. CPU is in hundredths of one core, IN and OUT are the internet, LINK is what goes through the node's links.",
  examples: [
    { command: "p2prc top", about: "mine" },
    { command: "p2prc top --guests", about: "what others do here" },
    { command: "p2prc top --json", about: "one look, for a script" },
  ],
  json: {
    sandboxes: "list: sandbox, whose (the node, with --guests the guest), stats",
    "sandboxes[].stats":
      "id, cpuMs, memoryBytes, diskBytes, pids, receivedBytes, sentBytes, linkBytes since it was made; absent where nobody answers",
  },

  async run({ flags, home, json }, io) {
    await using client = await io.open({ home });
    const look = async (): Promise<Sample> => ({
      rows: await (flags.guests === true ? guestRows(client, io) : boxRows(client, io)),
      at: io.clock.now(),
    });
    const title = flags.guests === true ? "GUEST" : "NODE";
    io.progress("asking the nodes");
    let before = await look();
    io.clear();
    if (json) return printJson(io, { sandboxes: before.rows });
    if (!io.interactive) {
      await io.clock.sleep(ONCE_MS, io.signal);
      for (const line of frame(before, await look(), { title, io })) io.out(line);
      return;
    }
    try {
      for (;;) {
        const after = await look();
        io.clear();
        io.streams.stdout.write(REDRAW);
        for (const [index, line] of frame(before, after, { title, io }).entries())
          io.out(line, index === 0 ? "bold" : undefined);
        before = after;
        await io.clock.sleep(EVERY_MS, io.signal);
      }
    } catch (error) {
      if (!io.signal.aborted) throw error;
      return 0; // Ctrl-C is how it ends
    }
  },
});

async function boxRows(client: Client, io: Io): Promise<readonly Row[]> {
  const { boxes } = await client.boxes({ ask: true }, io.signal);
  return await Promise.all(
    boxes.map(async ({ sandbox, node, reach }) => {
      const asked = reach === "lost" ? undefined : await orNothing(client.boxStats(sandbox.id, io.signal));
      return { sandbox, whose: node.name, stats: asked };
    }),
  );
}

async function guestRows(client: Client, io: Io): Promise<readonly Row[]> {
  const { sandboxes } = await client.guests(io.signal);
  return sandboxes.map(({ sandbox, guestName, stats }) => ({ sandbox, whose: guestName, stats }));
}

/** One that ends or is lost while we look has nothing to show; the rest has. */
async function orNothing<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof Failure) return undefined;
    throw error;
  }
}

function frame(before: Sample, after: Sample, { title, io }: { readonly title: string; readonly io: Io }): string[] {
  const earlier = new Map(before.rows.map(({ sandbox, stats }) => [sandbox.id, stats]));
  const seconds = Math.max(0.001, (after.at - before.at) / 1_000);
  const rows = after.rows.map((row) =>
    cellsOf(row, { earlier: earlier.get(row.sandbox.id), seconds, now: io.clock.wallTime() }),
  );
  const titles = columns.map((column) => (column.title === "NODE" ? { title } : column));
  return rows.length === 0 ? ["nothing runs"] : formatColumns(titles, rows);
}

function cellsOf(
  { sandbox, whose, stats }: Row,
  { earlier, seconds, now }: { readonly earlier: Stats | undefined; readonly seconds: number; readonly now: number },
): readonly string[] {
  const rate = (field: "receivedBytes" | "sentBytes" | "linkBytes") =>
    stats === undefined || earlier === undefined
      ? ""
      : formatRate(Math.max(0, (stats[field] - earlier[field]) / seconds));
  const cpu =
    stats === undefined || earlier === undefined
      ? ""
      : `${Math.round((100 * Math.max(0, stats.cpuMs - earlier.cpuMs)) / 1_000 / seconds)}%`;
  return [
    sandbox.name,
    whose,
    cpu,
    stats === undefined ? "" : `${formatBytes(stats.memoryBytes)} of ${formatBytes(sandbox.memoryBytes)}`,
    stats === undefined ? "" : `${formatBytes(stats.diskBytes)} of ${formatBytes(sandbox.diskBytes)}`,
    stats === undefined ? "" : String(stats.pids),
    rate("receivedBytes"),
    rate("sentBytes"),
    rate("linkBytes"),
    formatLeft(sandbox.expires, now),
    stats === undefined ? `${sandbox.state}?` : sandbox.state,
  ];
}
