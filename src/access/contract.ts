/**
 * What the routes about invites and grants take and give. Times are wall times of this node in
 * milliseconds since 1970 (`…At`, `until`), lengths are in milliseconds.
 *
 * Local: POST and GET /v1/invites, DELETE /v1/invites/:id, POST /v1/join, GET /v1/grants, PATCH and
 * DELETE /v1/grants/:node. Between nodes: POST /v1/redeem.
 */

import { type Static, Type } from "typebox";
import { Grant, MAX_DURATION_MS, NODE_ID_PATTERN, type NodeId } from "../core/index.ts";

const closed = { additionalProperties: false } as const;
const Id = Type.Unsafe<NodeId>(Type.String({ pattern: NODE_ID_PATTERN.source }));
const Time = Type.Integer({ minimum: 0, maximum: 8.64e15 });
const Name = Type.String({ minLength: 1, maxLength: 64 });
/** 26 characters of z-base-32: 128 bits. */
const Token = Type.String({ pattern: "^[ybndrfg8ejkmcpqxot1uwisza345h769]{26}$" });

export const MAX_USES = 100;
export const DEFAULT_INVITE_MS = 24 * 3_600_000;

/** POST /v1/invites. All of it may be absent: one use, 24 hours, the default grant. */
export const IssueRequest = Type.Object(
  {
    /** What differs from `defaultGrant`. */
    grant: Type.Optional(Type.Partial(Grant)),
    uses: Type.Optional(Type.Integer({ minimum: 1, maximum: MAX_USES, default: 1 })),
    expiresMs: Type.Optional(Type.Integer({ minimum: 1_000, maximum: MAX_DURATION_MS, default: DEFAULT_INVITE_MS })),
    /** Whom it is for, for the owner's own list. */
    note: Type.Optional(Type.String({ maxLength: 64 })),
  },
  closed,
);
export type IssueRequest = Static<typeof IssueRequest>;

/** open: may be redeemed; the others say why not. */
export const inviteStates = ["open", "used", "expired", "revoked"] as const;

export const InviteRow = Type.Object({
  /** Short, and no secret. */
  id: Type.String(),
  state: Type.Enum([...inviteStates]),
  grant: Grant,
  note: Type.String(),
  uses: Type.Integer(),
  issuedAt: Time,
  expiresAt: Time,
  redeemedBy: Type.Array(Type.Object({ id: Id, name: Type.String(), at: Time })),
});
export type InviteRow = Static<typeof InviteRow>;

/** The reply of POST /v1/invites: the only time that the link is shown. */
export const IssueReply = Type.Object({ link: Type.String(), invite: InviteRow });
export type IssueReply = Static<typeof IssueReply>;

/** The reply of GET /v1/invites, newest first. */
export const InvitesReply = Type.Object({ invites: Type.Array(InviteRow) });
export type InvitesReply = Static<typeof InvitesReply>;

/** DELETE /v1/invites/:id answers with the InviteRow. Grants that came of it stay. */
export const InviteParams = Type.Object({ id: Type.String({ minLength: 1, maxLength: 32 }) });

/** POST /v1/join */
export const JoinRequest = Type.Object(
  {
    /** As it was pasted. */
    invite: Type.String({ minLength: 1, maxLength: 4_096 }),
    /** What the issuer is to be called here. */
    name: Type.Optional(Name),
    /** Both machines are the same person's: the issuer may do everything here too. */
    own: Type.Optional(Type.Boolean()),
  },
  closed,
);
export type JoinRequest = Static<typeof JoinRequest>;

export const JoinReply = Type.Object({
  id: Id,
  /** What it is called here now. */
  name: Type.String(),
  relation: Type.Enum(["own", "friend"]),
  /** What this node may do there. */
  grant: Grant,
});
export type JoinReply = Static<typeof JoinReply>;

/** What another node may do here. */
export const GrantRow = Type.Object({
  id: Id,
  name: Type.String(),
  grant: Grant,
  /** Whether `until` has passed: it may do nothing any more, and is kept so that it can be prolonged. */
  ended: Type.Boolean(),
  since: Time,
  /** The id of the invite it came from; absent where this node joined the other with `own`. */
  invite: Type.Optional(Type.String()),
});
export type GrantRow = Static<typeof GrantRow>;

/** The reply of GET /v1/grants. */
export const GrantsReply = Type.Object({ grants: Type.Array(GrantRow) });
export type GrantsReply = Static<typeof GrantsReply>;

/** PATCH and DELETE /v1/grants/:node: a name, an id or the start of one. */
export const GrantParams = Type.Object({ node: Type.String({ minLength: 1, maxLength: 255 }) });

/** PATCH /v1/grants/:node answers with the GrantRow. `until: null` means until it is revoked. */
export const ChangeRequest = Type.Object(
  {
    ...Type.Partial(Type.Omit(Grant, ["until"])).properties,
    until: Type.Optional(Type.Union([Time, Type.Null()])),
  },
  closed,
);
export type ChangeRequest = Static<typeof ChangeRequest>;

/** The reply of DELETE /v1/grants/:node. */
export const RevokeReply = Type.Object({
  id: Id,
  name: Type.String(),
  /** The invite that the grant came from, where others can still redeem it: it may be meant to go too. */
  openInvite: Type.Optional(Type.String()),
});
export type RevokeReply = Static<typeof RevokeReply>;

/** POST /v1/redeem, between nodes. */
export const RedeemRequest = Type.Object({ token: Token, name: Type.Optional(Name) }, closed);
export type RedeemRequest = Static<typeof RedeemRequest>;

export const RedeemReply = Type.Object({
  grant: Grant,
  /** What the issuer calls itself. */
  name: Type.String({ maxLength: 64 }),
});
export type RedeemReply = Static<typeof RedeemReply>;
