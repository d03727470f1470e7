/** p2prc cp: files into a sandbox, and out of it. */

import { join } from "node:path";
import { makeFolder } from "../../base/index.ts";
import type { Client } from "../../client/index.ts";
import { cleanText, Failure, parseSize } from "../../core/light.ts";
import { copyFiles, type CopyPlace, type CopyProgress } from "../../sandbox/light.ts";
import { command } from "../command.ts";
import { formatDecimalBytes, formatRate } from "../format.ts";
import { groupCalled, onEach } from "../group-work.ts";
import { type Io, printJson } from "../io.ts";

interface Flags {
  readonly maxSize?: number;
}

export const cp = command<Flags>({
  arguments: [
    { name: "<source>", summary: "a path here, or box:path", completes: "files" },
    { name: "<target>", summary: "the other of the two", completes: "files" },
  ],
  options: [
    { flags: "--max-size <size>", summary: "refuse more than this in all (100G)", parse: parseSize },
    { flags: "-r, --recursive", summary: "implied", hidden: true },
  ],
  about: [
    "Folders go with all that is in them; modes and times of files are kept, links stay links, and each byte is compared by SHA-256. Files over 64 MiB go on where a broken link, or an interrupted p2prc, left them.",
    "As with scp: where the target is a folder it goes into it under its own name; where nothing is there yet it becomes the target; `folder/.` stands for what is in the folder. Paths in the sandbox begin in the home of its user. What comes out of a sandbox stays below the target: archives with absolute paths, `..`, links that lead out or devices are refused.",
    "Into a group it goes to every sandbox at the same time; out of a group it comes into a folder for each sandbox, with its name, below the target.",
  ].join("\n\n"),
  examples: [
    { command: "p2prc cp ./src box:src", about: "a folder" },
    { command: "p2prc cp box:result.tar .", about: "a file, into this folder" },
    { command: "p2prc cp ./scene farm:scene", about: "to every sandbox of a group" },
    { command: "p2prc cp box:out/. results", about: "what is in a folder" },
  ],
  json: {
    entries: "files, folders and links",
    bytes: "of all files",
    path: "where it is now",
    box: "with a group: whose; one object a line",
  },

  async run({ args: [source = "", target = ""], flags, home, json }, io) {
    const [from, to] = [parsePlace(source, io), parsePlace(target, io)];
    const box = oneBox(from, to);
    await using client = await io.open({ home });
    const maxBytes = flags.maxSize;
    const group = await groupCalled(client, box, io.signal);
    if (group === undefined) return await copyOne(client, { box, from, to, maxBytes, json }, io);
    return await onEach(
      group,
      async ({ sandbox }) => {
        const inside = (place: CopyPlace) => (place.box === undefined ? place : { ...place, box: sandbox.name });
        const target = to.box === undefined ? { path: join(to.path, sandbox.name) } : inside(to);
        if (to.box === undefined) await makeFolder(target.path);
        const work = { box: sandbox.name, from: inside(from), to: target, maxBytes, json };
        await copyOne(client, { ...work, ofGroup: true }, io);
      },
      io,
    );
  },
});

interface Work {
  readonly box: string;
  readonly from: CopyPlace;
  readonly to: CopyPlace;
  readonly maxBytes: number | undefined;
  readonly json: boolean;
  readonly ofGroup?: boolean;
}

async function copyOne(client: Client, { box, from, to, maxBytes, json, ofGroup }: Work, io: Io): Promise<void> {
  const startedAt = io.clock.now();
  const deps = {
    open: (rest: string, signal: AbortSignal) => client.stream(`box-files:${box}/${rest}`, signal),
    clock: io.clock,
    onProgress: (progress: CopyProgress) => io.progress(describe(progress, io.clock.now() - startedAt)),
    onRetry: (why: string) => io.err(`${cleanText(why, 200)}; trying again`, "warn"),
  };
  io.progress(`reaching ${box}`);
  const wish = { from, to, ...(maxBytes === undefined ? {} : { maxBytes }) };
  const copied = await copyFiles(deps, wish, io.signal);
  if (json) return printJson(io, ofGroup === true ? { box, ...copied } : copied);
  const where = to.box === undefined ? copied.path : `${to.box}:${copied.path}`;
  io.out(`${where}  ${formatDecimalBytes(copied.bytes)}${copied.entries > 1 ? `, ${copied.entries} entries` : ""}`);
}

/** As scp reads it: a colon before any slash. On Windows a single letter is a drive. */
function parsePlace(text: string, { machine }: Io): CopyPlace {
  const [, box, path] = /^([^/\\:]+):(.*)$/s.exec(text) ?? [];
  if (box === undefined || path === undefined || (machine.platform === "win32" && box.length === 1))
    return { path: text };
  return { box, path };
}

/** @throws {Failure} bad-argument */
function oneBox({ box: from }: CopyPlace, { box: to }: CopyPlace): string {
  if (from !== undefined && to !== undefined)
    throw new Failure("bad-argument", "both places are in sandboxes", { hint: "copy it to this machine first" });
  const box = from ?? to;
  if (box !== undefined) return box;
  throw new Failure("bad-argument", "neither of the two places is in a sandbox", {
    hint: "write one as `box:path`; a path here that has a colon in it as `./path`",
  });
}

function describe({ name, bytes, all }: CopyProgress, ms: number): string {
  const rate = ms < 1_000 ? "" : `, ${formatRate((bytes / ms) * 1_000)}`;
  const of = all === undefined ? "" : ` of ${formatDecimalBytes(all)}`;
  return `${cleanText(name, 60)}: ${formatDecimalBytes(bytes)}${of}${rate}`;
}
