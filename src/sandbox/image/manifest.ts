/**
 * What a stranger's list of an image's parts may say: one machine's manifest, of the OCI or of Docker, whose parts all lie in
 * the image itself.
 */

import { createHash } from "node:crypto";
import { arch } from "node:os";
import { type Static, Type } from "typebox";
import { Value } from "typebox/value";
import { Failure } from "../../core/index.ts";
import { Digest, MAX_LAYERS, MAX_MANIFEST_BYTES } from "./contract.ts";

const Part = Type.Object({
  mediaType: Type.Optional(Type.String({ maxLength: 255 })),
  digest: Digest,
  size: Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }),
  /** Elsewhere on the web: never asked. */
  urls: Type.Optional(Type.Array(Type.String(), { maxItems: 0 })),
});
export type Part = Static<typeof Part>;
const ManifestShape = Type.Object({
  schemaVersion: Type.Literal(2),
  mediaType: Type.Optional(Type.String({ maxLength: 255 })),
  config: Part,
  layers: Type.Array(Part),
});
const ConfigShape = Type.Object({
  architecture: Type.String(),
  os: Type.String(),
  rootfs: Type.Object({ type: Type.Literal("layers"), diff_ids: Type.Array(Digest) }),
});

export const OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json";
const DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json";
export const OCI_CONFIG = "application/vnd.oci.image.config.v1+json";
export const OCI_LAYER = "application/vnd.oci.image.layer.v1.tar";

export interface Manifest {
  readonly digest: string;
  readonly mediaType: string;
  readonly bytes: Buffer;
  readonly config: Part;
  /** From the lowest up. */
  readonly layers: readonly Part[];
}

/** @throws {Failure} bad-image, too-large */
export function readManifest(bytes: Buffer): Manifest {
  if (bytes.length > MAX_MANIFEST_BYTES) throw new Failure("too-large", "the image's list of parts is too long");
  const value = parse(bytes);
  if (!Value.Check(ManifestShape, value)) throw new Failure("bad-image", "the image is not laid out as the OCI says");
  const { mediaType = OCI_MANIFEST, config, layers } = value;
  if (mediaType !== OCI_MANIFEST && mediaType !== DOCKER_MANIFEST)
    throw new Failure("bad-image", "the list is none of an image for one machine");
  if (layers.length > MAX_LAYERS)
    throw new Failure("bad-image", `the image has ${layers.length} layers, more than ${MAX_LAYERS}`);
  if (config.size > MAX_MANIFEST_BYTES) throw new Failure("too-large", "the image's configuration is too long");
  return { digest: digestOf(bytes), mediaType, bytes, config, layers };
}

/**
 * The digests of its layers as they are unpacked, from the lowest up.
 * @throws {Failure} bad-image: not for this machine, or not as many as there are layers
 */
export function readDiffIds(config: Buffer, layers: number): readonly string[] {
  const value = parse(config);
  if (!Value.Check(ConfigShape, value))
    throw new Failure("bad-image", "the image's configuration is not as the OCI says");
  const here = machineArchitecture();
  if (value.os !== "linux" || value.architecture !== here)
    throw new Failure(
      "bad-image",
      `the image is for ${value.os}/${value.architecture}, and that node is linux/${here}`,
    );
  if (value.rootfs.diff_ids.length !== layers)
    throw new Failure("bad-image", "the image's configuration tells of other layers than its list does");
  return value.rootfs.diff_ids;
}

/** All of them once each, the list itself not among them. */
export function partsOf({ config, layers }: Manifest): readonly Part[] {
  return [...new Map([config, ...layers].map((part) => [part.digest, part])).values()];
}

export function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

/** As images call it. */
export function machineArchitecture(): string {
  const machine = arch();
  return machine === "x64" ? "amd64" : machine;
}

function parse(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString("utf8"));
  } catch (cause) {
    throw new Failure("bad-image", "a list of the image's parts is not JSON", { cause });
  }
}
