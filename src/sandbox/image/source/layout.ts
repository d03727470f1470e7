/** An image in a folder as the OCI lays it out. */

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { Type } from "typebox";
import { Value } from "typebox/value";
import { Failure } from "../../../core/index.ts";
import { Digest } from "../contract.ts";
import { digestOf, machineArchitecture, partsOf, readManifest } from "../manifest.ts";
import type { Loose } from "./archive.ts";

const Index = Type.Object({
  manifests: Type.Array(
    Type.Object({
      digest: Digest,
      platform: Type.Optional(Type.Object({ architecture: Type.String() })),
      annotations: Type.Optional(Type.Record(Type.String(), Type.String())),
    }),
  ),
});
/** An index for many machines is one step away. */
const MAX_STEPS = 3;

/** @throws {Failure} bad-image */
export async function readLayoutFolder(folder: string): Promise<Loose> {
  let index = await readJson(join(folder, "index.json"));
  let name: string | undefined;
  for (let step = 0; step < MAX_STEPS && Value.Check(Index, index); step++) {
    const here = machineArchitecture();
    const ours = index.manifests.filter(({ platform }) => platform === undefined || platform.architecture === here);
    const [chosen] = ours;
    if (chosen === undefined)
      throw new Failure("bad-image", `the image is not for such a machine as this one (${here})`);
    name ??=
      chosen.annotations?.["io.containerd.image.name"] ?? chosen.annotations?.["org.opencontainers.image.ref.name"];
    const bytes = await readPart(folder, chosen.digest);
    index = JSON.parse(bytes.toString("utf8"));
    if (Value.Check(Index, index)) continue;
    const paths = partsOf(readManifest(bytes)).map(({ digest }) => [digest, pathOf(folder, digest)] as const);
    return { manifest: bytes, name, paths: new Map(paths) };
  }
  throw new Failure("bad-image", `"${folder}" is not laid out as the OCI says`, {
    hint: "it has an `index.json`, and `blobs/sha256/`; an archive of a root's files is pushed with `--name`",
  });
}

export function pathOf(folder: string, digest: string): string {
  return join(folder, "blobs", "sha256", digest.slice("sha256:".length));
}

async function readPart(folder: string, digest: string): Promise<Buffer> {
  const bytes = await readFile(pathOf(folder, digest)).catch((cause: unknown) => {
    throw new Failure("bad-image", `a part of the image is missing here: ${digest}`, { cause });
  });
  if (digestOf(bytes) === digest) return bytes;
  throw new Failure("bad-image", `a part of the image is not what its digest says: ${digest}`);
}

async function readJson(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, "utf8"));
  } catch (cause) {
    throw new Failure("bad-image", `"${path}" cannot be read`, { cause });
  }
}
