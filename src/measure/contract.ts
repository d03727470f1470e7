/**
 * What goes over the wire when nodes measure each other, and what a person's client is told of it.
 *
 * Between nodes: `GET /v1/specs`, `GET /v1/speed/download` (octets), `POST /v1/speed/upload` (octets, answered
 * with Counted). From the person: `POST /v1/nodes/:node/ping` and `…/speed` answer with lines of JSON
 * (`{"progress":…}` and at last `{"result":…}` or `{"error":…}`), `GET /v1/nodes/:node/specs` with Specs.
 */

import { type Static, Type } from "typebox";
import type { NodeId } from "../core/index.ts";
import { type PathKind, pathKinds } from "../network/index.ts";

const closed = { additionalProperties: false } as const;
const Bytes = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
const Milliseconds = Type.Number({ minimum: 0 });
const PathName = Type.Unsafe<PathKind>(Type.Enum([...pathKinds]));
const Id = Type.Unsafe<NodeId>(Type.String());

/** 50 MB or 10 s, whichever comes first: enough to leave slow start behind, little enough for a metered line. */
export const MAX_TEST_BYTES = 50_000_000;
export const MAX_TEST_MS = 10_000;

// --- what a machine is ---

export const Gpu = Type.Object(
  {
    vendor: Type.Enum(["nvidia", "amd", "other"]),
    model: Type.String({ maxLength: 96 }),
    /** 0 where the tool does not say, as on machines whose GPU shares the memory. */
    memoryBytes: Bytes,
  },
  closed,
);
export type Gpu = Static<typeof Gpu>;

export const Specs = Type.Object(
  {
    cpu: Type.Object(
      { model: Type.String({ maxLength: 96 }), cores: Type.Integer({ minimum: 0, maximum: 65_536 }) },
      closed,
    ),
    memory: Type.Object({ totalBytes: Bytes, freeBytes: Bytes }, closed),
    /** Of the file system where the home lives. */
    disk: Type.Object({ totalBytes: Bytes, freeBytes: Bytes }, closed),
    gpus: Type.Array(Gpu, { maxItems: 64 }),
    platform: Type.String({ maxLength: 32 }),
    architecture: Type.String({ maxLength: 32 }),
    /** What could not be read and why, for the owner and the guests: `nvidia-smi: Driver/library version mismatch`. */
    problems: Type.Array(Type.String({ maxLength: 300 }), { maxItems: 8 }),
  },
  closed,
);
export type Specs = Static<typeof Specs>;

// --- how far away ---

export const MAX_PINGS = 100;

export const PingRequest = Type.Object({ count: Type.Integer({ minimum: 1, maximum: MAX_PINGS, default: 5 }) }, closed);
export type PingRequest = Static<typeof PingRequest>;

/** One sample: `rttMs`, or `lost` with the reason. The link is made anew for the next sample. */
export const PingProgress = Type.Object(
  {
    sample: Type.Integer({ minimum: 1 }),
    path: Type.Optional(PathName),
    remote: Type.Optional(Type.String()),
    rttMs: Type.Optional(Milliseconds),
    lost: Type.Optional(Type.String()),
  },
  closed,
);
export type PingProgress = Static<typeof PingProgress>;

export const PingResult = Type.Object(
  {
    id: Id,
    name: Type.String(),
    /** Of the last sample that came back. */
    path: PathName,
    /** The name of the node that passed it on, where one did. */
    via: Type.Optional(Type.String()),
    sent: Type.Integer(),
    lost: Type.Integer(),
    medianMs: Milliseconds,
    minMs: Milliseconds,
    maxMs: Milliseconds,
    /** Mean absolute difference of neighbouring samples. */
    jitterMs: Milliseconds,
  },
  closed,
);
export type PingResult = Static<typeof PingResult>;

// --- how fast ---

/** What a receiver counted, from the first byte to the last. */
export const Counted = Type.Object({ bytes: Bytes, ms: Milliseconds }, closed);
export type Counted = Static<typeof Counted>;

/** An asker may want less than a whole test. */
export const DownloadQuery = Type.Object(
  {
    maxBytes: Type.Integer({ minimum: 1, maximum: MAX_TEST_BYTES, default: MAX_TEST_BYTES }),
    maxMs: Type.Integer({ minimum: 1, maximum: MAX_TEST_MS, default: MAX_TEST_MS }),
  },
  closed,
);
export type DownloadQuery = Static<typeof DownloadQuery>;

/** What the asker counted of the download before, so that one test tells both nodes both speeds. */
export const UploadQuery = Type.Partial(Counted);
export type UploadQuery = Static<typeof UploadQuery>;

export const SpeedProgress = Type.Object(
  {
    direction: Type.Enum(["down", "up"]),
    /** Down: what came in. Up: what the link has taken; how much arrived is in the result. */
    bytes: Bytes,
    bytesPerSecond: Type.Number({ minimum: 0 }),
  },
  closed,
);
export type SpeedProgress = Static<typeof SpeedProgress>;

/** Averages over a whole test, slow start included: what it takes to move 50 MB, which nobody can polish. */
export const SpeedResult = Type.Object(
  {
    id: Id,
    name: Type.String(),
    path: PathName,
    /** The name of the node that passed it on, where one did. */
    via: Type.Optional(Type.String()),
    downBytesPerSecond: Type.Number({ minimum: 0 }),
    upBytesPerSecond: Type.Number({ minimum: 0 }),
    down: Counted,
    up: Counted,
  },
  closed,
);
export type SpeedResult = Static<typeof SpeedResult>;

export const NodeParams = Type.Object({ node: Type.String({ minLength: 1, maxLength: 255 }) }, closed);
export type NodeParams = Static<typeof NodeParams>;
