/** p2prc info: all that is known of a node. */

import { Failure, cleanText } from "../../core/light.ts";
import type { Specs } from "../../measure/index.ts";
import type { Offer } from "../../sandbox/index.ts";
import type { NodeRow } from "../../table/index.ts";
import { sandboxCount } from "../boxes.ts";
import { formatFields } from "../columns.ts";
import { command } from "../command.ts";
import { formatBytes, formatRate, formatRtt } from "../format.ts";
import { type Io, printJson } from "../io.ts";
import { formatGpus, formatSeen } from "../nodes.ts";

export const info = command({
  arguments: [{ name: "<node>", summary: "name, id or address of the node", completes: "nodes" }],
  about: "Asks the node for what its machine is; where it does not answer, the rest is shown.",
  examples: [{ command: "p2prc info attic", about: "its addresses, its machine, its distance" }],
  json: {
    node: "as in `p2prc ls --json`",
    specs: "cpu, memory, disk, gpus, platform, architecture, problems; absent where it did not answer",
    problem: "why there are no specs",
    offer:
      "what it would lend me now: runtime, profiles, images, allowedImages, free (cpus, memoryBytes, diskBytes, sandboxes), gpus, problems; absent where it lends nothing",
    noOffer: "why there is no offer",
  },

  async run({ args: [node = ""], home, json }, io) {
    await using client = await io.open({ home });
    const row = await client.node(node, io.signal);
    io.progress(`asking ${row.name} for its machine`);
    const [specs, offer] = await Promise.all([
      orFailure(client.specs(node, io.signal)),
      orFailure(client.offerOf(node, io.signal)),
    ]);
    if (json)
      return printJson(io, {
        node: row,
        ...(specs instanceof Failure ? { problem: specs.message } : { specs }),
        ...(offer instanceof Failure ? { noOffer: offer.message } : { offer }),
      });
    const machine = specs instanceof Failure ? [] : aboutMachine(specs);
    io.out(formatFields([...aboutNode(row, io), ...machine, ...aboutOffer(offer)]).join("\n"));
    if (specs instanceof Failure) io.err(`its machine is not known: ${specs.message}`, "warn");
  },
});

async function orFailure<T>(asked: Promise<T>): Promise<T | Failure> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof Failure) return error;
    throw error;
  }
}

type Field = readonly [string, string];

function aboutNode(row: NodeRow, io: Io): Field[] {
  const { claimedName = row.name } = row;
  return [
    ["Name", row.name],
    ...fieldUnless(claimedName === row.name, "Calls itself", claimedName),
    ["Id", row.id],
    ["Relation", row.relation],
    ["State", row.state],
    ["Seen", formatSeen({ ...row, state: "verified" }, io.clock.wallTime())],
    ...aboutWay(row),
    ["Lends", row.lends ? "yes" : "no"],
    ["Granted by me", formatGranted(row)],
    ["Version", row.version ?? ""],
    ...fieldUnless(row.labels.length === 0, "Labels", row.labels.join(", ")),
    ...fieldUnless(row.info === "", "Says", row.info),
  ];
}

function aboutWay({
  path,
  rttMs,
  jitterMs,
  downBytesPerSecond,
  upBytesPerSecond,
  addresses,
  port,
  nat,
  viaNames,
}: NodeRow): Field[] {
  const jitter = jitterMs === undefined ? "" : ` ± ${formatRtt(jitterMs)}`;
  const speeds = [downBytesPerSecond, upBytesPerSecond].map((speed) => formatRate(speed) || "-");
  return [
    ["Path", path ?? ""],
    ["Round trip", `${formatRtt(rttMs)}${jitter}`],
    ["Down, up", speeds.join(", ")],
    ["Addresses", addresses.join(", ")],
    ["Port", String(port)],
    ["NAT", nat],
    ...fieldUnless(viaNames.length === 0, "Via", viaNames.join(", ")),
  ];
}

function formatGranted({ grant }: NodeRow): string {
  if (grant === undefined) return "nothing";
  return grant.expires === undefined ? "yes" : `until ${grant.expires}`;
}

function fieldUnless(absent: boolean, key: string, value: string): Field[] {
  return absent ? [] : [[key, value]];
}

function aboutMachine({ cpu, memory, disk, gpus, platform, architecture, problems }: Specs): Field[] {
  return [
    ["CPU", `${cpu.cores} x ${cpu.model}`],
    ["Memory", `${formatBytes(memory.totalBytes)}, ${formatBytes(memory.freeBytes)} free`],
    ["Disk", `${formatBytes(disk.totalBytes)}, ${formatBytes(disk.freeBytes)} free`],
    ["GPU", gpus.length === 0 ? "none" : formatGpus(gpus)],
    ["System", `${platform} ${architecture}`],
    ...problems.map((problem) => ["Problem", cleanText(problem, 300)] as const),
  ];
}

function aboutOffer(offer: Offer | Failure): Field[] {
  if (offer instanceof Failure) return [["Lends me", `nothing: ${cleanText(offer.message, 300)}`]];
  const { runtime, profiles, free, allowedImages } = offer;
  const images = offer.images === "archives" ? "from archives" : `matching ${allowedImages.join(" ")}`;
  const room = [
    sandboxCount(free.sandboxes),
    `${Math.floor(free.cpus * 100) / 100} cores`,
    `${formatBytes(free.memoryBytes)} memory`,
    `${formatBytes(free.diskBytes)} disk`,
  ];
  return [
    ["Sandboxes by", `${runtime} (${profiles.join(", ")})`],
    ["Lends me", room.join(", ")],
    ...fieldUnless(allowedImages.length === 0 || images === "matching *", "Images", cleanText(images, 300)),
    ...fieldUnless(offer.gpus.length === 0, "Lends GPUs", formatGpus(offer.gpus)),
    ...offer.problems.map((problem) => ["Problem", cleanText(problem, 300)] as const),
  ];
}
