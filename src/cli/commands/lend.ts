/** p2prc lend: may those who are allowed to use this machine do so now, and how much of it? */

import type { Client } from "../../client/index.ts";
import { Failure, parseCores, parseCount, parseSize } from "../../core/light.ts";
import type { RelayMode } from "../../nat/index.ts";
import type { LendLimits } from "../../sandbox/index.ts";
import { command } from "../command.ts";
import { formatBytes } from "../format.ts";
import { type Io, printJson } from "../io.ts";

interface Flags {
  readonly maxCpus?: string;
  readonly maxMemory?: string;
  readonly maxDisk?: string;
  readonly maxSandboxes?: string;
  readonly images?: readonly string[];
  readonly accept?: readonly (readonly Wall[])[];
  readonly relay?: RelayMode;
}

const walls = ["memoryLimit", "pidsLimit", "networkFilter", "seccomp"] as const;
type Wall = (typeof walls)[number];

/** What takes a limit back. */
const DEFAULT = "default";

export const lend = command<Flags>({
  arguments: [{ name: "[what]", summary: "on, off, or status (default)", choices: ["on", "off", "status"] }],
  options: [
    {
      flags: "--max-cpus <number>",
      summary: "cores in all, as in 8, or default (all: the owner's own programs come first)",
    },
    { flags: "--max-memory <size>", summary: "memory in all, as in 16G, or default (half of it)" },
    { flags: "--max-disk <size>", summary: "disk in all, as in 200G, or default" },
    { flags: "--max-sandboxes <number>", summary: "how many at once, or default (8)" },
    {
      flags: "--images <pattern>",
      summary: "which images, as in 'debian:*'; may be repeated; '*' for any",
      repeatable: true,
    },
    {
      flags: "--accept <walls>",
      summary: `lend to others although these do not hold here: ${walls.join(", ")}, or none`,
      repeatable: true,
      parse: parseWalls,
    },
    {
      flags: "--relay <whose>",
      summary: "whose links to pass on until the daemon ends: anyone, friends, no; what runs for others is cut off",
      choices: ["anyone", "friends", "no"],
    },
  ],
  about:
    "Turns lending on or off in the daemon, which goes on running. To whom is said by invites and grants; the limits are for all guests together, whatever their grants say. `p2prc doctor` tells which walls do not hold.",
  examples: [
    { command: "p2prc lend off", about: "nobody starts anything new here; what runs goes on" },
    { command: "p2prc lend --max-cpus 8 --max-memory 16G --images 'debian:*'", about: "so much, and Debian only" },
    { command: "p2prc lend --max-cpus default", about: "as before" },
    { command: "p2prc lend --relay no", about: "pass no links on to others, from now on" },
    { command: "p2prc lend", about: "is it on?" },
  ],
  json: {
    lends: "whether this node lends now",
    limits: "what was set: cpus, memoryBytes, diskBytes, sandboxes, images, accept; absent where nothing was",
  },

  async run({ args: [what = "status"], flags, home, json }, io) {
    const change = changeOf(flags);
    await using client = await io.open({ home });
    // The limits come first: who lends less from now on must not lend more for a moment.
    const limits = await limitsOf(client, { change, asked: what === "status" }, io);
    const relay = flags.relay === undefined ? undefined : (await client.setRelay(flags.relay, io.signal)).mode;
    const { lends } = what === "status" ? await client.status(io.signal) : await client.lend(what === "on", io.signal);
    const words = wordsOf(limits);
    if (json) return printJson(io, { lends, ...(words.length === 0 ? {} : { limits }) });
    io.out(lends ? "lending to my own nodes and those I invited" : "not lending");
    if (!lends && (await client.status(io.signal)).listening.length > 0)
      io.out("guests still reach the sandboxes that run, until they end");
    if (relay !== undefined) io.out(`passes links on for: ${relay}`);
    if (words.length > 0) io.out(`at most ${words.join(", ")}`);
  },
});

async function limitsOf(
  client: Client,
  { change, asked }: { readonly change: Change; readonly asked: boolean },
  { signal }: Io,
): Promise<LendLimits> {
  const changes = Object.keys(change).length > 0;
  const before = asked || changes ? await client.lendLimits(signal) : {};
  return changes ? await client.setLendLimits(merged(before, change), signal) : before;
}

type Change = { readonly [K in keyof LendLimits]?: LendLimits[K] | typeof DEFAULT };

function changeOf({ maxCpus, maxMemory, maxDisk, maxSandboxes, images, accept }: Flags): Change {
  const found = {
    cpus: parsed(maxCpus, parseCores),
    memoryBytes: parsed(maxMemory, parseSize),
    diskBytes: parsed(maxDisk, parseSize),
    sandboxes: parsed(maxSandboxes, (text) => parseCount(text, "--max-sandboxes")),
    images: images === undefined ? undefined : images.some((one) => one === "*") ? DEFAULT : images.map(parsePattern),
    accept: accept?.flat(),
  };
  return Object.fromEntries(Object.entries(found).filter(([, value]) => value !== undefined)) as Change;
}

function parsed<T>(text: string | undefined, parse: (text: string) => T): T | typeof DEFAULT | undefined {
  return text === undefined || text === DEFAULT ? text : parse(text);
}

function merged(before: LendLimits, change: Change): LendLimits {
  const all = Object.entries({ ...before, ...change });
  return Object.fromEntries(all.filter(([, value]) => value !== DEFAULT)) as LendLimits;
}

/** @throws {Failure} bad-argument */
function parsePattern(text: string): string {
  if (/^[a-zA-Z0-9*][a-zA-Z0-9*._:/@-]{0,254}$/.test(text)) return text;
  throw new Failure("bad-argument", `not a pattern for images: "${text.slice(0, 40)}"`, {
    hint: "write it as `debian:*` or `ghcr.io/me/**`, in quotes",
  });
}

/** @throws {Failure} bad-argument */
function parseWalls(text: string): readonly Wall[] {
  if (text === "none") return [];
  return text.split(",").map((word) => {
    const wall = walls.find((one) => one === word.trim());
    if (wall !== undefined) return wall;
    throw new Failure("bad-argument", `not a wall: "${word.slice(0, 40)}"`, {
      hint: `it is one of ${walls.join(", ")}, or none; \`p2prc doctor\` tells which do not hold here`,
    });
  });
}

function wordsOf({ cpus, memoryBytes, diskBytes, sandboxes, images, accept = [] }: LendLimits): readonly string[] {
  return [
    ...(cpus === undefined ? [] : [`${cpus} cores`]),
    ...(memoryBytes === undefined ? [] : [`${formatBytes(memoryBytes)} memory`]),
    ...(diskBytes === undefined ? [] : [`${formatBytes(diskBytes)} disk`]),
    ...(sandboxes === undefined ? [] : [`${sandboxes} at once`]),
    ...(images === undefined ? [] : [`images ${images.join(" ")}`]),
    ...(accept.length === 0 ? [] : [`without ${accept.join(", ")}`]),
  ];
}
