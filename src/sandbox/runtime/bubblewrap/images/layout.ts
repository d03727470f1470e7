/**
 * An image as the OCI lays it out in a folder: `index.json` names a manifest, that names its layers, and each lies in
 * `blobs/sha256/` under its digest. Everything is checked against the digest that led to it.
 */

import { createHash } from "node:crypto";
import { constants, createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import { arch } from "node:os";
import { join } from "node:path";
import { PassThrough, type Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGunzip, createZstdDecompress } from "node:zlib";
import { type Static, Type } from "typebox";
import { Value } from "typebox/value";
import { Failure } from "../../../../core/index.ts";

const Digest = Type.String({ pattern: "^sha256:[a-f0-9]{64}$" });
const Descriptor = Type.Object({
  mediaType: Type.Optional(Type.String()),
  digest: Digest,
  size: Type.Integer({ minimum: 0 }),
  platform: Type.Optional(Type.Object({ architecture: Type.String(), os: Type.String() })),
});
type Descriptor = Static<typeof Descriptor>;
const Index = Type.Object({ manifests: Type.Array(Descriptor, { minItems: 1, maxItems: 256 }) });
const Manifest = Type.Object({ config: Descriptor, layers: Type.Array(Descriptor, { maxItems: 256 }) });
const Config = Type.Object({
  config: Type.Optional(
    Type.Object({ Env: Type.Optional(Type.Union([Type.Null(), Type.Array(Type.String(), { maxItems: 1_024 })])) }),
  ),
});

/** Of a manifest or an index; the specification asks registries for as much. */
const MAX_JSON_BYTES = 4 * 1024 ** 2;

export interface Layout {
  /** Of the manifest: the same for the same image, wherever it came from. */
  readonly digest: string;
  /** From the lowest up. */
  readonly layers: readonly Descriptor[];
  /** `NAME=value`, for every process inside. */
  readonly env: readonly string[];
}

/** @throws {Failure} bad-image */
export async function readLayout(folder: string): Promise<Layout> {
  const index = parse(Index, await readPlain(join(folder, "index.json")));
  const { digest, manifest } = await findManifest(folder, index.manifests);
  return await layoutOf(folder, digest, manifest);
}

/** Of one manifest among the parts. @throws {Failure} bad-image */
export async function readPushed(folder: string, digest: string): Promise<Layout> {
  const bytes = await readPlain(blobPath(folder, digest));
  if (`sha256:${createHash("sha256").update(bytes).digest("hex")}` !== digest)
    throw new Failure("bad-image", `a part of the image is not what its digest says: ${digest}`);
  return await layoutOf(folder, digest, parse(Manifest, bytes));
}

async function layoutOf(folder: string, digest: string, manifest: Static<typeof Manifest>): Promise<Layout> {
  const { config } = parse(Config, await readBlob(folder, manifest.config));
  const env = (config?.Env ?? []).filter((variable) => /^[A-Za-z_][A-Za-z0-9_]*=[^\0]*$/u.test(variable));
  return { digest, layers: manifest.layers, env };
}

/** One level of indirection: an index for many machines, of which one is ours. */
async function findManifest(
  folder: string,
  manifests: readonly Descriptor[],
): Promise<{ readonly digest: string; readonly manifest: Static<typeof Manifest> }> {
  const machine = arch() === "x64" ? "amd64" : arch();
  const ours = manifests.filter(({ platform }) => platform === undefined || platform.architecture === machine);
  const [chosen] = ours;
  if (chosen === undefined) throw new Failure("bad-image", `the image is not for this machine (${machine})`);
  const json = await readBlob(folder, chosen);
  if (Value.Check(Manifest, json)) return { digest: chosen.digest, manifest: json };
  return await findManifest(
    folder,
    parse(Index, json).manifests.filter(({ digest }) => digest !== chosen.digest),
  );
}

/** The files of one layer as a plain tar stream. It fails at its end where the content is not what the digest says. */
export function openLayer(folder: string, { digest, size }: Descriptor): Readable {
  // A link in its place would have to lead to the very same content.
  return unpacked(createReadStream(blobPath(folder, digest)), { digest, size });
}

/** Checks on the way what is as it lies on disk, and unpacks what is packed, whichever way its first bytes tell. */
export function unpacked(file: Readable, wanted?: { readonly digest: string; readonly size: number }): Readable {
  const out = new PassThrough();
  const hash = createHash("sha256");
  let read = 0;
  async function* checked(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const bytes of source) {
      read += bytes.length;
      if (wanted !== undefined && read > wanted.size) break;
      hash.update(bytes);
      yield bytes;
    }
    if (wanted !== undefined && (read !== wanted.size || `sha256:${hash.digest("hex")}` !== wanted.digest)) {
      throw new Failure("bad-image", `a part of the image is not what its digest says: ${wanted.digest}`);
    }
  }
  file.once("readable", () => {
    const first = (file.read() as Buffer | null) ?? Buffer.alloc(0);
    file.unshift(first);
    const unpack = unpackerFor(first);
    const run = unpack === undefined ? pipeline(file, checked, out) : pipeline(file, checked, unpack, out);
    run.catch((error: Error) => out.destroy(error));
  });
  file.once("error", (error) => out.destroy(error));
  return out;
}

function unpackerFor(first: Buffer) {
  if (first.length >= 2 && first.readUInt16BE(0) === 0x1f8b) return createGunzip();
  return first.length >= 4 && first.readUInt32LE(0) === 0xfd2fb528 ? createZstdDecompress() : undefined;
}

async function readBlob(folder: string, { digest, size }: Descriptor): Promise<unknown> {
  const bytes = await readPlain(blobPath(folder, digest));
  if (bytes.length !== size || `sha256:${createHash("sha256").update(bytes).digest("hex")}` !== digest) {
    throw new Failure("bad-image", `a part of the image is not what its digest says: ${digest}`);
  }
  return parseJson(bytes);
}

function blobPath(folder: string, digest: string): string {
  return join(folder, "blobs", "sha256", digest.slice("sha256:".length));
}

async function readPlain(path: string): Promise<Buffer> {
  try {
    await using file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
    const found = await file.stat();
    if (!found.isFile() || found.size > MAX_JSON_BYTES)
      throw new Failure("bad-image", "the image has no list of its parts");
    return await file.readFile();
  } catch (cause) {
    if (cause instanceof Failure) throw cause;
    throw new Failure("bad-image", "a part of the image is missing", { cause });
  }
}

function parse<T extends typeof Index | typeof Manifest | typeof Config>(schema: T, json: unknown): Static<T> {
  const value = Buffer.isBuffer(json) ? parseJson(json) : json;
  if (Value.Check(schema, value)) return value;
  throw new Failure("bad-image", "the image is not laid out as the OCI says");
}

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString("utf8"));
  } catch (cause) {
    throw new Failure("bad-image", "a list of the image's parts is not JSON", { cause });
  }
}
