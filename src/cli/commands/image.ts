/** p2prc image: images of one's own on other nodes. */

import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { cleanText, Failure } from "../../core/light.ts";
import type { HeldImage, PushProgress, PushReply, PushRequest } from "../../sandbox/index.ts";
import { parseImage } from "../../sandbox/light.ts";
import { formatColumns } from "../columns.ts";
import { command, type Input } from "../command.ts";
import { formatDecimalBytes } from "../format.ts";
import { type Io, printJson } from "../io.ts";
import { lastOf } from "../steps.ts";

interface Flags {
  readonly name?: string;
}

export const image = command<Flags>({
  arguments: [
    { name: "<what>", summary: "push, ls or rm", choices: ["push", "ls", "rm"] },
    { name: "[words...]", summary: "push <image> <node>, ls <node>, rm <image> <node>" },
  ],
  options: [{ flags: "--name <name>", summary: "what a pushed image is called there", parse: parseImage }],
  about: [
    "Pushes an image of this machine to a node, with no registry between: one that the local Docker or Podman has, an OCI layout (a folder or an archive), an archive of `docker save`, or an archive of a root's files (with --name). Only what the node misses of yours is sent, checked by its digest; a broken link is gone on with.",
    "What you push is yours: other guests neither see nor use it. It counts as your disk there, and goes with your grant. An owner who allows only some images allows pushed ones as `pushed/<name>`.",
  ].join("\n\n"),
  examples: [
    { command: "p2prc image push box-image attic", about: "what `docker images` calls box-image" },
    { command: "p2prc image push ./rootfs.tar.gz attic --name mine", about: "the files of a root" },
    { command: "p2prc touch attic --image mine", about: "a sandbox of it" },
    { command: "p2prc image ls attic", about: "those of mine there" },
    { command: "p2prc image rm mine attic", about: "take it away" },
  ],
  json: {
    name: "what it is called there, with its tag; one object a line with `ls`",
    digest: "of its manifest",
    bytes: "of all its parts",
    layers: "how many",
    pushed: "when, in milliseconds since 1970",
    sent: "bytes that went over the link, with `push`",
  },

  async run(input, io) {
    const [what, ...words] = input.args;
    if (what === "push") return await push(words, input, io);
    if (what === "ls") return await list(words, input, io);
    await remove(words, input, io);
  },
});

async function push(words: readonly string[], { flags, home, json }: Input<Flags>, io: Io): Promise<void> {
  const [source, node] = twoWords(words, "p2prc image push <image> <node>");
  const request: PushRequest = {
    source: sourceOf(source),
    ...(flags.name === undefined ? {} : { name: flags.name }),
  };
  await using client = await io.open({ home });
  io.progress(`reading ${cleanText(source, 80)}`);
  const steps = client.pushImage(node, request, io.signal);
  const told = new Set<string>();
  const pushed = await lastOf<PushProgress, PushReply>(steps, (progress) => {
    const { again } = progress;
    if (again !== undefined && !told.has(again)) io.err(`${again}; going on`, "warn");
    told.add(again ?? "");
    io.progress(describe(progress));
  });
  if (json) return printJson(io, pushed);
  const { name, bytes, sent } = pushed;
  io.out(
    `${name} is on ${node}   ${formatDecimalBytes(bytes)}, of which ${formatDecimalBytes(sent)} were sent`,
    "good",
  );
}

async function list(words: readonly string[], { home, json }: Input<Flags>, io: Io): Promise<void> {
  const [node, ...more] = words;
  if (node === undefined || more.length > 0) throw usage("p2prc image ls <node>");
  await using client = await io.open({ home });
  const { images } = await client.images(node, io.signal);
  if (json) {
    for (const each of images) printJson(io, each);
    return;
  }
  if (images.length === 0) return io.err(`you have no image on ${node}: \`p2prc image push IMAGE ${node}\` sends one`);
  const titles = ["NAME", "DIGEST", "SIZE", "LAYERS", "PUSHED"].map((title) => ({ title }));
  io.out(formatColumns(titles, images.map(cellsOf)).join("\n"));
}

async function remove(words: readonly string[], { home, json }: Input<Flags>, io: Io): Promise<void> {
  const [name, node] = twoWords(words, "p2prc image rm <image> <node>");
  const wanted = parseImage(name);
  await using client = await io.open({ home });
  const removed = await client.removeImage(node, wanted, io.signal);
  if (json) return printJson(io, removed);
  io.out(`${removed.name} is no longer on ${node}`);
}

function cellsOf({ name, digest, bytes, layers, pushed }: HeldImage): readonly string[] {
  const day = new Date(pushed).toISOString().slice(0, 16).replace("T", " ");
  return [name, digest.slice(0, "sha256:".length + 12), formatDecimalBytes(bytes), String(layers), day];
}

/** A path is named as one, or is there. @throws {Failure} bad-argument */
function sourceOf(text: string): PushRequest["source"] {
  const path = resolve(text);
  if (/^[.~/\\]|\.(tar|tar\.gz|tgz|tar\.zst)$|^[a-z]:\\/iu.test(text) || existsSync(path))
    return { kind: "path", path };
  return { kind: "engine", reference: parseImage(text) };
}

function describe({ step, layers, bytes }: PushProgress): string {
  switch (step) {
    case "reading":
      return `reading: ${formatDecimalBytes(bytes.done)}`;
    case "sending":
      return `sending: part ${Math.min(layers.done + 1, layers.all)} of ${layers.all}, ${formatDecimalBytes(bytes.done)} of ${formatDecimalBytes(bytes.all)}`;
    case "checking":
      return `the node checks it: layer ${Math.min(layers.done + 1, layers.all)} of ${layers.all}`;
  }
}

function twoWords([first, second, ...more]: readonly string[], form: string): readonly [string, string] {
  if (first === undefined || second === undefined || more.length > 0) throw usage(form);
  return [first, second];
}

function usage(form: string): Failure {
  return new Failure("bad-argument", "these are not the words for it", { hint: `usage: ${form}` });
}
