/** p2prc logs: what has a sandbox's command written, or the daemon? */

import { open } from "node:fs/promises";
import { join } from "node:path";
import type { Writable } from "node:stream";
import { cleanText, Failure } from "../../core/light.ts";
import type { Client } from "../../client/index.ts";
import { command } from "../command.ts";
import { roomIn } from "../exec-in-box.ts";
import { ended, groupCalled, onEach, prefixed, prefixes } from "../group-work.ts";
import type { Io } from "../io.ts";
import { wholeNumber } from "../options.ts";
import { whyCut } from "../why-cut.ts";

interface Flags {
  readonly follow?: boolean;
  readonly lines?: number;
}

export const logs = command<Flags>({
  arguments: [
    {
      name: "[box]",
      summary: "name or id of a sandbox, or of a group; without one, the log of the daemon",
      completes: "boxes",
    },
  ],
  options: [
    { flags: "-f, --follow", summary: "go on with what comes, until Ctrl-C" },
    {
      flags: "-n, --lines <number>",
      summary: "how many of the last lines (50)",
      parse: wholeNumber("--lines", 0, 10_000),
    },
  ],
  about:
    "Of a sandbox: what the command that it was started with has written, byte for byte. Of the daemon: one object of JSON a line, as pino writes them. Nothing secret is in it. Where no daemon runs, the last lines of the one that ran are shown.",
  examples: [
    { command: "p2prc logs -f box", about: "watch a sandbox" },
    { command: "p2prc logs -f", about: "watch the daemon" },
    { command: "p2prc logs -n 1000 | jq -r 'select(.level >= 40) | .msg'", about: "warnings and errors only" },
  ],
  json: { "…": "the lines are JSON in any case: level, time, msg and the facts" },

  async run({ args: [box], flags, home }, io) {
    const { lines = 50, follow = false } = flags;
    if (box !== undefined) return await showBox({ box, lines, follow, home }, io);
    if (!follow && !(await io.isRunning(home))) {
      await showLastWords({ home, lines }, io);
      return 0;
    }
    await using client = await io.open({ home, daemon: "never" });
    try {
      for await (const line of client.logs({ lines, follow }, io.signal)) io.out(line);
    } catch (error) {
      if (!io.signal.aborted || !follow) throw error; // Ctrl-C is how following ends
    }
    return 0;
  },
});

interface BoxLogs {
  readonly box: string;
  readonly lines: number;
  readonly follow: boolean;
  readonly home: string;
}

async function showBox({ box, lines, follow, home }: BoxLogs, io: Io): Promise<number> {
  await using client = await io.open({ home });
  io.progress(`reaching ${box}`);
  const group = await groupCalled(client, box, io.signal);
  if (group === undefined) return await pour(client, { box, lines, follow, to: io.streams.stdout }, io);
  const prefix = prefixes(group.members.flatMap(({ box: living }) => (living === undefined ? [] : [living])));
  return await onEach(
    group,
    async (each) => {
      const to = prefixed(io.streams.stdout, prefix(each));
      const code = await pour(client, { box: each.sandbox.id, lines, follow, to }, io);
      await ended(to);
      return code;
    },
    io,
  );
}

interface Pouring extends Omit<BoxLogs, "home"> {
  readonly to: Writable;
}

async function pour(client: Client, { box, lines, follow, to }: Pouring, io: Io): Promise<number> {
  try {
    for await (const bytes of client.boxLogs(box, { lines, follow }, io.signal)) {
      io.clear();
      if (!to.write(bytes)) await roomIn(to);
    }
  } catch (error) {
    if (io.signal.aborted && follow) return 0; // Ctrl-C is how following ends
    if (!(error instanceof Failure) || error.code !== "daemon-failed") throw error;
    await askWhyCut(client, box, io);
  }
  return 0;
}

/** The daemon breaks off where the log did. @throws {Failure} link-lost, unless the sandbox has ended and its log with it */
async function askWhyCut(client: Client, box: string, { signal, clock }: Io): Promise<void> {
  const { node, sandbox, reach } = await client.box(box, signal);
  if (sandbox.state === "removing") return;
  const place = cleanText(node.name, 64);
  const what = reach === "lost" ? `${place} does not answer any more` : `the link to ${place} broke`;
  const known = await whyCut(client, node.id, { clock, signal });
  throw new Failure("link-lost", `${what}: the log was cut off${known}`, {
    hint: `\`p2prc logs ${box}\` asks for it again`,
  });
}

/** As much as 10,000 lines take. */
const MAX_TAIL_BYTES = 2_000_000;

/** Of a daemon that is gone: one wants to know why. @throws {Failure} daemon-not-running */
async function showLastWords(
  { home, lines }: { readonly home: string; readonly lines: number },
  io: Io,
): Promise<void> {
  const text = await readEnd(join(home, "log"));
  if (text === undefined) throw new Failure("daemon-not-running", "no daemon has run for this home");
  const found = lines === 0 ? [] : text.split("\n").slice(0, -1).slice(-lines);
  for (const line of found) io.out(line);
  io.err("no daemon runs for this home: these are the last lines of the one that ran", "dim");
  const said = await readEnd(join(home, "daemon.stderr"));
  if (said !== undefined && said !== "") io.err(`what it said as it ended is in ${join(home, "daemon.stderr")}`);
}

async function readEnd(path: string): Promise<string | undefined> {
  try {
    await using file = await open(path, "r");
    const { size } = await file.stat();
    const start = Math.max(0, size - MAX_TAIL_BYTES);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(size - start), 0, size - start, start);
    return buffer.toString("utf8", 0, bytesRead);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
