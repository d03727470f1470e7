/** p2prc ping: how far away is this node, and by which path? */

import type { Client } from "../../client/index.ts";
import { cleanText, Failure } from "../../core/light.ts";
import type { PingProgress, PingResult } from "../../measure/index.ts";
import { command } from "../command.ts";
import { formatRtt } from "../format.ts";
import { type Io, printJson } from "../io.ts";
import { wholeNumber } from "../options.ts";
import { lastOf } from "../steps.ts";
import { rounded } from "../rounded.ts";

interface Flags {
  readonly count?: number;
}

/** How many are asked for at a time; the daemon takes up to 100. Few, so that a node that went away is noticed soon. */
const BATCH = 10;
const JSON_COUNT = 5;

export const ping = command<Flags>({
  arguments: [{ name: "<node>", summary: "name, id or address of the node", completes: "nodes" }],
  options: [
    {
      flags: "-c, --count <number>",
      summary: "how many round trips; without it, until Ctrl-C",
      parse: wholeNumber("--count", 1, 100),
    },
  ],
  about:
    "Stops by itself when ten in a row are lost. The round trip is that of the link, without the work of any handler.",
  examples: [
    { command: "p2prc ping attic", about: "until Ctrl-C" },
    { command: "p2prc ping attic --count 5 --json", about: "for a script" },
  ],
  json: {
    id: "the node's key",
    name: "its name here",
    path: "of the last answer: tcp6, tcp4, punched, relayed",
    via: "the name of the node that passed it on; absent where none did",
    sent: "round trips begun",
    lost: "how many had no answer",
    medianMs: "median",
    minMs: "shortest",
    maxMs: "longest",
    jitterMs: "how much neighbours differ",
  },

  async run({ args: [node = ""], flags, home, json }, io) {
    await using client = await io.open({ home });
    if (json)
      printJson(
        io,
        rounded(await lastOf(client.ping(node, { count: flags.count ?? JSON_COUNT }, io.signal), () => undefined)),
      );
    else if (flags.count !== undefined)
      printSummary(await pingOnce(client, { node, count: flags.count, before: 0, wayOf: ways() }, io), io);
    else await pingUntilStopped(client, node, io);
    return 0; // Ctrl-C is how it ends
  },
});

async function pingUntilStopped(client: Client, node: string, io: Io): Promise<void> {
  const rtts: number[] = [];
  const wayOf = ways();
  let sent = 0;
  const note = ({ rttMs }: PingProgress) => {
    sent++;
    if (rttMs !== undefined) rtts.push(rttMs);
    if (rtts.length > 100_000) rtts.shift();
  };
  try {
    for (;;) {
      const before = rtts.length;
      await pingOnce(client, { node, count: BATCH, before: sent, wayOf, note }, io);
      if (rtts.length === before)
        throw new Failure("unreachable", `"${node}" has not answered ${BATCH} times in a row`, {
          hint: `\`p2prc why ${node}\` tells what was tried`,
        });
    }
  } catch (error) {
    const sorted = rtts.toSorted((a, b) => a - b);
    const median = sorted[Math.floor(sorted.length / 2)];
    if (sent > 0)
      io.err(`${sent} sent, ${sent - rtts.length} lost${median === undefined ? "" : `, median ${formatRtt(median)}`}`);
    if (!io.signal.aborted) throw error;
  }
}

interface Batch {
  readonly node: string;
  readonly count: number;
  /** How many came before it. */
  readonly before: number;
  readonly wayOf: (progress: PingProgress) => string;
  readonly note?: (progress: PingProgress) => void;
}

function pingOnce(client: Client, { node, count, before, wayOf, note }: Batch, io: Io): Promise<PingResult> {
  return lastOf(client.ping(node, { count }, io.signal), (progress) => {
    note?.(progress);
    const { sample, rttMs, lost } = progress;
    const number = String(before + sample).padStart(2);
    if (rttMs === undefined) io.out(`${number}  no answer: ${cleanText(lost ?? "lost", 200)}`, "warn");
    else io.out(`${number}  ${formatRtt(rttMs).padStart(9)}  ${wayOf(progress)}`);
  });
}

/** Says by which way each sample came, and when the way has become direct. */
function ways(): Batch["wayOf"] {
  let relayed = false;
  return ({ path = "?", remote = "" }) => {
    const from = remote === "" ? "" : ` from ${cleanText(remote, 80)}`;
    const wasRelayed = relayed;
    relayed = path === "relayed";
    if (relayed) return `${cleanText(remote, 80)} (relayed)`;
    if (wasRelayed) return `direct now (${path})${from}`;
    return path === "punched" ? `direct (punched)${from}` : `by ${path}${from}`;
  };
}

function printSummary({ sent, lost, minMs, medianMs, maxMs, jitterMs }: PingResult, io: Io): void {
  const times = [
    `least ${formatRtt(minMs)}`,
    `median ${formatRtt(medianMs)}`,
    `most ${formatRtt(maxMs)}`,
    `jitter ${formatRtt(jitterMs)}`,
  ];
  io.err([`${sent} sent`, `${lost} lost`, ...(lost < sent ? times : [])].join(", "));
}
