/** What the person asks their own daemon about the tunnel of a group: `/v1/groups/:group/tunnel` (local). */

import { type Static, Type } from "typebox";
import { SANDBOX_ID_PATTERN, type SandboxId } from "../runtime/sandbox-id.ts";

const closed = { additionalProperties: false } as const;
const Port = Type.Integer({ minimum: 1, maximum: 65_535 });
const Count = Type.Integer({ minimum: 0 });

/** More than any engine is told to use; each is a socket in every sandbox for every member. */
export const MAX_TUNNEL_PORTS = 64;
/** Each listens for all others. */
export const MAX_TUNNEL_MEMBERS = 64;

/** Ports that are carried to every member, or to one. */
export const TunnelPorts = Type.Object(
  {
    first: Port,
    last: Port,
    /** Name or id of the only one who has them. @default all have them */
    box: Type.Optional(Type.String({ minLength: 1, maxLength: 128 })),
  },
  closed,
);
export type TunnelPorts = Static<typeof TunnelPorts>;

/** POST: answered with a GroupTunnel. Adds to what is carried, and takes in who has come to the group since. */
export const TunnelRequest = Type.Object(
  { ports: Type.Array(TunnelPorts, { minItems: 1, maxItems: MAX_TUNNEL_PORTS * 2 }) },
  closed,
);
export type TunnelRequest = Static<typeof TunnelRequest>;

export const TunnelMember = Type.Object(
  {
    id: Type.Unsafe<SandboxId>(Type.String({ pattern: SANDBOX_ID_PATTERN })),
    name: Type.String(),
    /** On the loopback of each sandbox of the group; the same for as long as the tunnel is there. */
    address: Type.String(),
    /** joining: not reached yet. away: lost, and tried again. ended: the sandbox is no more. */
    state: Type.Enum(["joining", "joined", "away", "ended"]),
    /** Of one that is away. */
    why: Type.Optional(Type.String()),
    /** Whether the names of all are in its /etc/hosts. */
    names: Type.Boolean(),
    /** Ports of others that something inside has taken from us: `127.77.0.2:8786 EADDRINUSE`. Some of them. */
    taken: Type.Array(Type.String()),
    /** What others may connect to, and what came of it. */
    ports: Type.Array(Type.Object({ port: Port, open: Count, total: Count, bytes: Count }, closed)),
  },
  closed,
);
export type TunnelMember = Static<typeof TunnelMember>;

/** GET, and DELETE, which ends it. */
export const GroupTunnel = Type.Object(
  {
    group: Type.String(),
    members: Type.Array(TunnelMember),
    /** Connections that are open now, and that found nobody. */
    open: Count,
    refused: Count,
  },
  closed,
);
export type GroupTunnel = Static<typeof GroupTunnel>;
