/**
 * An image in an archive: an OCI layout, what `docker save` wrote, or the files of a root. Which of them it is shows in the
 * names in it; the parts of the first two are taken out, a root is one layer as it is.
 */

import { createHash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join, posix } from "node:path";
import { type Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { extract } from "tar-stream";
import { Type } from "typebox";
import { Value } from "typebox/value";
import { Failure } from "../../../core/index.ts";
import { diskFailure } from "../../../store/index.ts";
import { unpacked } from "../../runtime/bubblewrap/images/layout.ts";
import { digestOf, machineArchitecture, OCI_CONFIG, OCI_LAYER, OCI_MANIFEST } from "../manifest.ts";
import { pathOf, readLayoutFolder } from "./layout.ts";

export interface Loose {
  readonly manifest: Buffer;
  readonly name: string | undefined;
  readonly paths: ReadonlyMap<string, string>;
}

export interface ArchiveReading {
  readonly content: Readable;
  /** Where it can be read again; undefined where it comes from elsewhere. */
  readonly path: string | undefined;
  /** Parts are laid out there. */
  readonly folder: string;
  readonly note: (bytes: number) => void;
}

const Saved = Type.Array(
  Type.Object({
    Config: Type.String(),
    RepoTags: Type.Optional(Type.Union([Type.Null(), Type.Array(Type.String())])),
    Layers: Type.Array(Type.String(), { maxItems: 127 }),
  }),
  { minItems: 1 },
);

/** Names in archives of images: `index.json`, `blobs/sha256/…`, `manifest.json`, `<id>/layer.tar`, `<id>.json`, `<id>.tar`. */
const PART =
  /^(?:index\.json|oci-layout|manifest\.json|repositories|blobs\/sha256\/[a-f0-9]{64}|[a-f0-9]{64}(?:\.json|\.tar|\/(?:layer\.tar|json|VERSION))?)$/u;
/** Folders that lead to such. */
const FOLDER = /^(?:|blobs|blobs\/sha256|[a-f0-9]{64})$/u;

/** @throws {Failure} bad-image, disk-full */
export async function openArchive(reading: ArchiveReading, signal: AbortSignal): Promise<Loose> {
  const { path, folder } = reading;
  try {
    await mkdir(join(folder, "blobs", "sha256"), { recursive: true, mode: 0o700 });
    const taken = await takeParts(reading, signal);
    if (taken === undefined && path !== undefined) return await asRoot(path, reading, signal);
    const saved = taken?.get("manifest.json");
    // Where both are there, the OCI's own says more: what is compressed stays so.
    if (taken?.has("index.json") === true) return await readLayoutFolder(folder);
    if (taken !== undefined && saved !== undefined) return await asSaved(taken, folder);
    throw new Failure("bad-image", "the archive is none of an image");
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof Failure) throw error;
    throw diskFailure(error, folder) ?? new Failure("bad-image", "the image cannot be read", { cause: error });
  }
}

interface Taken {
  readonly path: string;
  readonly digest: string;
  readonly size: number;
}

/** @returns what is in it, by name; undefined where it is the files of a root */
async function takeParts(
  { content, folder, note }: ArchiveReading,
  signal: AbortSignal,
): Promise<Map<string, Taken> | undefined> {
  const entries = extract();
  const taken = new Map<string, Taken>();
  const links = new Map<string, string>();
  const reading = pipeline(unpacked(content), counted(note), entries, { signal });
  reading.catch(() => undefined); // the loop below fails by it
  for await (const entry of entries) {
    const { type, linkname } = entry.header;
    const name = posix.normalize(`/${entry.header.name}`).slice(1).replace(/\/$/u, "");
    const isFolder = type === "directory" && FOLDER.test(name);
    if (!isFolder && !PART.test(name)) {
      content.destroy();
      return undefined;
    }
    if (type === "symlink" || type === "link") {
      const from = type === "link" ? "/" : `/${posix.dirname(name)}/`;
      links.set(name, posix.normalize(`${from}${linkname}`).slice(1)); // older engines name a layer that is there twice so
    }
    if (type === "file") taken.set(name, await takePart(entry as unknown as Readable, name, folder));
    else entry.resume();
  }
  await reading;
  for (const [name, target] of links) {
    const there = taken.get(target);
    if (there !== undefined) taken.set(name, there);
  }
  return taken;
}

/** Under its digest; the layout's own index under its name too. */
async function takePart(entry: Readable, name: string, folder: string): Promise<Taken> {
  const temporary = join(folder, "part");
  const hash = createHash("sha256");
  let size = 0;
  const hashed = new Transform({
    transform: (bytes: Buffer, _encoding, done) => {
      hash.update(bytes);
      size += bytes.length;
      done(null, bytes);
    },
  });
  await pipeline(entry, hashed, createWriteStream(temporary, { mode: 0o600 }));
  const digest = `sha256:${hash.digest("hex")}`;
  if (name.startsWith("blobs/") && name !== `blobs/sha256/${digest.slice("sha256:".length)}`)
    throw new Failure("bad-image", `a part of the image is not what its name says: ${name}`);
  const path = name === "index.json" || name === "manifest.json" ? join(folder, name) : pathOf(folder, digest);
  await rename(temporary, path);
  return { path, digest, size };
}

/** What `docker save` writes has no manifest as registries know them: one is made. */
async function asSaved(taken: ReadonlyMap<string, Taken>, folder: string): Promise<Loose> {
  const list: unknown = JSON.parse(await readFile(join(folder, "manifest.json"), "utf8"));
  if (!Value.Check(Saved, list)) throw new Failure("bad-image", "the archive's list of images is none");
  const [image, ...more] = list;
  if (image === undefined || more.length > 0)
    throw new Failure("bad-image", `the archive has ${list.length} images`, { hint: "save one alone" });
  const get = (name: string) => {
    const there = taken.get(posix.normalize(name));
    if (there !== undefined) return there;
    throw new Failure("bad-image", `a part of the image is missing here: ${name}`);
  };
  return manifestOf(get(image.Config), image.Layers.map(get), image.RepoTags?.[0]);
}

/** One layer that is the whole root, and a configuration that says no more than that. */
async function asRoot(path: string, { folder, note }: ArchiveReading, signal: AbortSignal): Promise<Loose> {
  const packed = createHash("sha256");
  let size = 0;
  for await (const bytes of createReadStream(path) as AsyncIterable<Buffer>) {
    signal.throwIfAborted();
    packed.update(bytes);
    size += bytes.length;
    note(bytes.length);
  }
  const plain = createHash("sha256");
  let entries = 0;
  const tar = extract();
  const hashed = new Transform({
    transform: (bytes: Buffer, _encoding, done) => {
      plain.update(bytes);
      done(null, bytes);
    },
  });
  const reading = pipeline(unpacked(createReadStream(path)), hashed, tar, { signal });
  reading.catch(() => undefined); // the loop below fails by it
  for await (const entry of tar) {
    entries++;
    entry.resume();
  }
  await reading;
  if (entries === 0) throw new Failure("bad-image", `"${path}" is no archive of files`);
  const diffId = `sha256:${plain.digest("hex")}`;
  const config = Buffer.from(
    JSON.stringify({
      architecture: machineArchitecture(),
      os: "linux",
      config: { Env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"], Cmd: ["/bin/sh"] },
      rootfs: { type: "layers", diff_ids: [diffId] },
    }),
  );
  const written = { path: pathOf(folder, digestOf(config)), digest: digestOf(config), size: config.length };
  await writeFile(written.path, config, { mode: 0o600 });
  return manifestOf(written, [{ path, digest: `sha256:${packed.digest("hex")}`, size }], undefined);
}

function manifestOf(config: Taken, layers: readonly Taken[], name: string | undefined): Loose {
  const manifest = {
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config: { mediaType: OCI_CONFIG, digest: config.digest, size: config.size },
    layers: layers.map(({ path, digest, size }) => ({ mediaType: layerType(path), digest, size })),
  };
  const paths = new Map([config, ...layers].map(({ digest, path }) => [digest, path]));
  return { manifest: Buffer.from(JSON.stringify(manifest)), name, paths };
}

/** Engines look at the bytes themselves; `+gzip` is for those that do not. */
function layerType(path: string): string {
  if (/\.t?gz$/u.test(path)) return `${OCI_LAYER}+gzip`;
  return path.endsWith(".zst") ? `${OCI_LAYER}+zstd` : OCI_LAYER;
}

function counted(note: (bytes: number) => void): Transform {
  return new Transform({
    transform: (bytes: Buffer, _encoding, done) => {
      note(bytes.length);
      done(null, bytes);
    },
  });
}
