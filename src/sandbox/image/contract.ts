/**
 * What goes over the wire about images that guests push. A guest sends an owner's node what that misses (`/v1/images…`, admits
 * guests; each sees their own alone); the person tells their own daemon what to push where (`/v1/nodes/:node/images`).
 */

import { type Static, Type } from "typebox";
import { IMAGE_PATTERN } from "../words.ts";

const closed = { additionalProperties: false } as const;
const Bytes = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
export const Digest = Type.String({ pattern: "^sha256:[a-f0-9]{64}$" });
const Name = Type.String({ pattern: IMAGE_PATTERN, maxLength: 255 });

/** As many as a container engine can lay one over the other. */
export const MAX_LAYERS = 127;
/** Of a manifest; the specification asks registries for as much. */
export const MAX_MANIFEST_BYTES = 4 * 1024 ** 2;

/** POST /v1/images/missing: the parts of an image. */
export const MissingRequest = Type.Object({ digests: Type.Array(Digest, { maxItems: MAX_LAYERS + 2 }) }, closed);
export type MissingRequest = Static<typeof MissingRequest>;
export const MissingReply = Type.Object(
  {
    /** have: bytes that came before a link broke; sending goes on behind them. */
    missing: Type.Array(Type.Object({ digest: Digest, have: Bytes }, closed), { maxItems: MAX_LAYERS + 2 }),
  },
  closed,
);
export type MissingReply = Static<typeof MissingReply>;

/** PUT /v1/images/blobs/:digest: octets from `offset` on; answered with lines of BlobProgress and at last a BlobReply. */
export const BlobParams = Type.Object({ digest: Digest }, closed);
export type BlobParams = Static<typeof BlobParams>;
export const BlobQuery = Type.Object({ size: Bytes, offset: Bytes }, closed);
export type BlobQuery = Static<typeof BlobQuery>;
/** bytes: of this part, that are on the owner's disk. */
export const BlobProgress = Type.Object({ bytes: Bytes }, closed);
export type BlobProgress = Static<typeof BlobProgress>;
export const BlobReply = Type.Object({ digest: Digest }, closed);
export type BlobReply = Static<typeof BlobReply>;

/** POST /v1/images: answered with lines of AdmitProgress and at last a HeldImage. */
export const AdmitRequest = Type.Object(
  {
    name: Name,
    /** The manifest's very bytes, as text: its digest is theirs. */
    manifest: Type.String({ maxLength: MAX_MANIFEST_BYTES }),
  },
  closed,
);
export type AdmitRequest = Static<typeof AdmitRequest>;
export const AdmitProgress = Type.Object(
  { layers: Type.Object({ done: Type.Integer(), all: Type.Integer() }, closed) },
  closed,
);
export type AdmitProgress = Static<typeof AdmitProgress>;

/** An image that a guest pushed, as that guest sees it. */
export const HeldImage = Type.Object(
  {
    /** With its tag. */
    name: Type.String(),
    digest: Digest,
    /** Of all its parts, as they lie on the owner's disk. */
    bytes: Bytes,
    layers: Type.Integer({ minimum: 0 }),
    /** Wall time in milliseconds since 1970. */
    pushed: Type.Integer({ minimum: 0, maximum: 8.64e15 }),
  },
  closed,
);
export type HeldImage = Static<typeof HeldImage>;
/** GET /v1/images, and GET /v1/nodes/:node/images. */
export const ImagesReply = Type.Object({ images: Type.Array(HeldImage) }, closed);
export type ImagesReply = Static<typeof ImagesReply>;
/** DELETE /v1/images?name=… (HeldImage: what it was), and DELETE /v1/nodes/:node/images?name=…. */
export const ImageQuery = Type.Object({ name: Name }, closed);
export type ImageQuery = Static<typeof ImageQuery>;

// --- the person, at their own daemon ---

export const NodeParams = Type.Object({ node: Type.String({ minLength: 1, maxLength: 255 }) }, closed);
export type NodeParams = Static<typeof NodeParams>;

/** POST /v1/nodes/:node/images: answered with lines of PushProgress and at last a PushReply. */
export const PushRequest = Type.Object(
  {
    source: Type.Union([
      /** What this machine's own engine calls it. */
      Type.Object({ kind: Type.Literal("engine"), reference: Name }, closed),
      /** A folder or an archive; absolute. */
      Type.Object({ kind: Type.Literal("path"), path: Type.String({ minLength: 1, maxLength: 4_096 }) }, closed),
    ]),
    /** What it is called there. @default its own name, where it has one */
    name: Type.Optional(Name),
  },
  closed,
);
export type PushRequest = Static<typeof PushRequest>;
export const PushProgress = Type.Object(
  {
    /** reading: here. checking: there. */
    step: Type.Enum(["reading", "sending", "checking"]),
    layers: Type.Object({ done: Type.Integer(), all: Type.Integer() }, closed),
    /** Of what is missing there. */
    bytes: Type.Object({ done: Bytes, all: Bytes }, closed),
    /** Why it was begun again. */
    again: Type.Optional(Type.String()),
  },
  closed,
);
export type PushProgress = Static<typeof PushProgress>;
export const PushReply = Type.Object(
  {
    ...HeldImage.properties,
    /** How much went over the link; the rest was there. */
    sent: Bytes,
  },
  closed,
);
export type PushReply = Static<typeof PushReply>;
