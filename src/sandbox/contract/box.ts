/** The person at their own daemon, about what they hold elsewhere: `/v1/boxes…`. */

import { type Static, Type } from "typebox";
import { CreateRequest, PublishedPort, Sandbox, CreateProgress } from "./guest.ts";
import { closed, Id, Node } from "./pieces.ts";

/** POST /v1/boxes (local): answered with lines of BoxProgress and at last a Box. */
export const TouchRequest = Type.Object(
  {
    /** What a person types. Absent with `near`. */
    node: Type.Optional(Type.String({ minLength: 1, maxLength: 255 })),
    /** The nearest joined node that fits. */
    near: Type.Optional(Type.Boolean()),
    /** With `near`, of several that are wanted the how manyth: the nodes are tried from that one on. @default 0 */
    turn: Type.Optional(Type.Integer({ minimum: 0, maximum: 1_000 })),
    ...Type.Partial(Type.Omit(CreateRequest, ["id", "sshKey"])).properties,
  },
  closed,
);
export type TouchRequest = Static<typeof TouchRequest>;

export const BoxProgress = Type.Object(
  {
    /** The node that it is about. */
    node: Type.String(),
    /** Absent while nodes are compared. */
    create: Type.Optional(CreateProgress),
    /** With `near`: why this one was passed over. */
    passedOver: Type.Optional(Type.String()),
  },
  closed,
);
export type BoxProgress = Static<typeof BoxProgress>;

export const BoxPort = Type.Object(
  {
    internal: Type.Integer({ minimum: 1, maximum: 65_535 }),
    /** 127.0.0.1, or the path of a Unix socket. */
    host: Type.String(),
    /** 0 behind a Unix socket. */
    local: Type.Integer({ minimum: 0, maximum: 65_535 }),
    url: Type.Optional(Type.String()),
  },
  closed,
);
export type BoxPort = Static<typeof BoxPort>;

/** POST /v1/boxes/:box/ports: opens a port of this machine, or a Unix socket, to one inside. Open already: the same one. */
export const BoxPortRequest = Type.Object(
  {
    internal: Type.Integer({ minimum: 1, maximum: 65_535 }),
    /** @default the number inside if it is free, else any; 0: any */
    local: Type.Optional(Type.Integer({ minimum: 0, maximum: 65_535 })),
    path: Type.Optional(Type.String({ minLength: 1, maxLength: 1_024 })),
  },
  closed,
);
export type BoxPortRequest = Static<typeof BoxPortRequest>;
export const BoxPortParams = Type.Object(
  { box: Type.String({ minLength: 1, maxLength: 128 }), port: Type.Integer({ minimum: 1, maximum: 65_535 }) },
  closed,
);
export type BoxPortParams = Static<typeof BoxPortParams>;

/** POST /v1/boxes/:box/publish. */
export const BoxPublished = Type.Object(
  {
    ...PublishedPort.properties,
    /** Where this machine reaches the node. Absent where it is not reached directly. */
    host: Type.Optional(Type.String()),
  },
  closed,
);
export type BoxPublished = Static<typeof BoxPublished>;

/** A sandbox that this person holds on somebody's node. */
export const Box = Type.Object(
  {
    node: Type.Object({ id: Node, name: Type.String() }, closed),
    sandbox: Sandbox,
    /** `lost`: the node does not answer; what is shown is what was last known. */
    reach: Type.Enum(["known", "lost"]),
    ports: Type.Array(BoxPort),
    /** Where `ssh` finds it on 127.0.0.1. */
    sshPort: Type.Optional(Type.Integer({ minimum: 1, maximum: 65_535 })),
  },
  closed,
);
export type Box = Static<typeof Box>;
/** GET /v1/boxes. ask: their nodes, for 2 s at most; else what they said last. */
export const BoxesQuery = Type.Object({ ask: Type.Boolean({ default: true }) }, closed);
export type BoxesQuery = Static<typeof BoxesQuery>;
export const BoxesReply = Type.Object({ boxes: Type.Array(Box) }, closed);
export type BoxesReply = Static<typeof BoxesReply>;
/** A name, an id, the start of one, or `name@node`. */
export const BoxParams = Type.Object({ box: Type.String({ minLength: 1, maxLength: 128 }) }, closed);
export type BoxParams = Static<typeof BoxParams>;

/** DELETE /v1/boxes/:box. Not done: its node does not answer; it is told as soon as it does. */
export const RemoveBoxReply = Type.Object(
  { id: Id, name: Type.String(), node: Type.Object({ id: Node, name: Type.String() }, closed), done: Type.Boolean() },
  closed,
);
export type RemoveBoxReply = Static<typeof RemoveBoxReply>;
