/**
 * What the routes of the IP table take and give.
 *
 * `NodeRow` is also what `p2prc ls --json` prints: its names are promised in docs/ip-table.md. A field
 * that is not known is absent. Between nodes there is one question only, `POST /v1/table`.
 */

import { type Static, Type } from "typebox";
import { MAX_RECORD_BYTES, NODE_ID_PATTERN, natKinds, type NodeId, Resources, SignedRecord } from "../core/index.ts";
import { pathKinds } from "../network/index.ts";

const Id = Type.Unsafe<NodeId>(Type.String({ pattern: NODE_ID_PATTERN.source }));
const Milliseconds = Type.Number({ minimum: 0 });
const BytesPerSecond = Type.Number({ minimum: 0 });

export const relations = ["own", "friend", "stranger"] as const;

/**
 * heard: others told of it, it was not dialled yet; verified: it answered and proved its key; trying: it is being
 * dialled now, or the last try failed while nobody else answered either; suspect: it does not answer, others do.
 */
export const rowStates = ["heard", "verified", "trying", "suspect"] as const;

/** One reason for a node's place in the list. The points of all parts add up to the score. */
export const RankPart = Type.Object({ part: Type.String(), points: Type.Number(), why: Type.String() });

export const NodeRow = Type.Object({
  /** The local name where it has one, else what it calls itself, else its short id. */
  name: Type.String(),
  /** What it calls itself now. */
  claimedName: Type.Optional(Type.String()),
  id: Id,
  relation: Type.Enum([...relations]),
  state: Type.Enum([...rowStates]),
  path: Type.Optional(Type.Enum([...pathKinds])),
  /** Median of several, over the link. */
  rttMs: Type.Optional(Milliseconds),
  jitterMs: Type.Optional(Milliseconds),
  /** From that node to this one. */
  downBytesPerSecond: Type.Optional(BytesPerSecond),
  upBytesPerSecond: Type.Optional(BytesPerSecond),
  resources: Type.Optional(Resources),
  /** Best first: where it answered, then what its record, a person or the LAN said. Addresses or host names. */
  addresses: Type.Array(Type.String()),
  port: Type.Integer(),
  nat: Type.Enum([...natKinds]),
  /** Nodes that pass links on to it. */
  via: Type.Array(Id),
  /** And what they are called here, in the same order. */
  viaNames: Type.Array(Type.String()),
  /** Whether it lends to anybody. */
  lends: Type.Boolean(),
  /** What this node has granted it: until when. */
  grant: Type.Optional(Type.Object({ expires: Type.Optional(Type.String()) })),
  /** When it last answered this node, ISO 8601. */
  lastSeen: Type.Optional(Type.String()),
  version: Type.Optional(Type.String()),
  labels: Type.Array(Type.String()),
  /** The owner's free text. */
  info: Type.String(),
  rank: Type.Object({ score: Type.Number(), parts: Type.Array(RankPart) }),
});
export type NodeRow = Static<typeof NodeRow>;

/** GET /v1/nodes: joined nodes best first, then strangers where `all` is set. */
export const NodesQuery = Type.Object({ all: Type.Optional(Type.Boolean()) }, { additionalProperties: false });
export type NodesQuery = Static<typeof NodesQuery>;
export const NodesReply = Type.Object({
  nodes: Type.Array(NodeRow),
  /** How many strangers were left out, because `all` was not set. */
  strangers: Type.Integer(),
});
export type NodesReply = Static<typeof NodesReply>;

/** GET, PATCH and DELETE /v1/nodes/:node: what a person typed (name, id, prefix, address). */
export const NodeParams = Type.Object({ node: Type.String({ minLength: 1, maxLength: 255 }) });
export type NodeParams = Static<typeof NodeParams>;

/** PATCH /v1/nodes/:node */
export const RenameRequest = Type.Object(
  { name: Type.String({ minLength: 1, maxLength: 64 }) },
  { additionalProperties: false },
);
export type RenameRequest = Static<typeof RenameRequest>;

/** DELETE /v1/nodes/:node */
export const RemoveReply = Type.Object({ id: Id, name: Type.String() });
export type RemoveReply = Static<typeof RemoveReply>;

const Address = Type.String({ minLength: 1, maxLength: 300 });

/** POST /v1/nodes/identify: `host`, `host:port` or `[v6]:port`. */
export const IdentifyRequest = Type.Object({ address: Address }, { additionalProperties: false });
export type IdentifyRequest = Static<typeof IdentifyRequest>;
/** Who answers there. The key is for a person to confirm before the node is added. */
export const IdentifyReply = Type.Object({
  id: Id,
  name: Type.String(),
  version: Type.String(),
  address: Type.String(),
  /** Present when the node is known here already. */
  known: Type.Optional(Type.Object({ name: Type.String(), relation: Type.Enum([...relations]) })),
});
export type IdentifyReply = Static<typeof IdentifyReply>;

/** POST /v1/nodes: the node becomes a friend. Answers with its NodeRow. */
export const AddRequest = Type.Object({ address: Address, id: Id }, { additionalProperties: false });
export type AddRequest = Static<typeof AddRequest>;

export const MAX_HOPS = 16;
export const DEFAULT_HOPS = 3;

/** POST /v1/nodes/update: answers with NDJSON, `{"progress": UpdateProgress}` lines and one `{"result": UpdateResult}`. */
export const UpdateRequest = Type.Object(
  { hops: Type.Optional(Type.Integer({ minimum: 1, maximum: MAX_HOPS, default: DEFAULT_HOPS })) },
  { additionalProperties: false },
);
export type UpdateRequest = Static<typeof UpdateRequest>;

/** Where the walk stands. Sent at most ten times a second, and whenever a hop begins. */
export const UpdateProgress = Type.Object({
  /** The furthest hop so far, from 1. */
  hop: Type.Integer(),
  asked: Type.Integer(),
  answered: Type.Integer(),
  /** Refused, or answered with another key. */
  failed: Type.Integer(),
  /** Asked and neither answered nor failed yet. */
  waiting: Type.Integer(),
  /** Nodes that were not in the table before. */
  found: Type.Integer(),
});
export type UpdateProgress = Static<typeof UpdateProgress>;

export const UpdateResult = Type.Object({
  asked: Type.Integer(),
  answered: Type.Integer(),
  failed: Type.Integer(),
  found: Type.Integer(),
  /** The furthest hop at which somebody answered. */
  hops: Type.Integer(),
  tookMs: Milliseconds,
  /** Did not answer in time; the daemon goes on trying them. */
  trying: Type.Array(Type.Object({ id: Id, name: Type.String() })),
  /** Heard of at the last hop, and left for a walk with more hops. */
  beyond: Type.Integer(),
});
export type UpdateResult = Static<typeof UpdateResult>;

/** A reply holds at most this many records and bytes, and asking more often or for more is refused. */
export const MAX_REPLY_RECORDS = 250;
export const MAX_REPLY_BYTES = 400 * 1024;
/** 8 KiB of bits tell 6,000 records apart with one in a hundred mistaken. */
export const MAX_FILTER_CHARACTERS = 11_000;
/** A question with its filter and the asker's own record. */
export const MAX_QUESTION_BYTES = 16 * 1024 + MAX_RECORD_BYTES;

/** POST /v1/table, between nodes. */
export const TableQuestion = Type.Object(
  {
    /** The cursor of the last reply from the same node. One of another life of that node starts over. */
    since: Type.Optional(Type.String({ pattern: "^[0-9a-f]{16}\\.[0-9]{1,15}$" })),
    /** How many records the answer may hold, the answerer's own not counted. */
    limit: Type.Integer({ minimum: 0, maximum: MAX_REPLY_RECORDS }),
    /** What the asker holds already, as a Bloom filter (`known-filter.ts`). */
    known: Type.Optional(
      Type.Object(
        {
          salt: Type.Integer({ minimum: 0, maximum: 0xffff_ffff }),
          bits: Type.String({ maxLength: MAX_FILTER_CHARACTERS, pattern: "^[A-Za-z0-9_-]*$" }),
        },
        { additionalProperties: false },
      ),
    ),
    /** The asker's own record, so that the other may dial it and pass it on. */
    record: Type.Optional(SignedRecord),
  },
  { additionalProperties: false },
);
export type TableQuestion = Static<typeof TableQuestion>;

export const TableReply = Type.Object({
  /** The answerer's own first, where the asker lacks it. Each is checked one by one when it is read. */
  records: Type.Array(SignedRecord, { maxItems: MAX_REPLY_RECORDS + 1 }),
  cursor: Type.String({ pattern: "^[0-9a-f]{16}\\.[0-9]{1,15}$" }),
  /** Whether there is more past the cursor. */
  more: Type.Boolean(),
  /** A record of the asker's own that outdoes the one that it announced: of an earlier life, or of a copy of its home. */
  yours: Type.Optional(SignedRecord),
});
export type TableReply = Static<typeof TableReply>;
