/** What the person asks their own daemon about groups: `/v1/groups…` (local). */

import { type Static, Type } from "typebox";
import { Box } from "../contract.ts";
import { SANDBOX_ID_PATTERN, type SandboxId } from "../runtime/sandbox-id.ts";
import { NAME_PATTERN } from "../words.ts";

const closed = { additionalProperties: false } as const;
const Name = Type.String({ pattern: NAME_PATTERN });
/** A name, an id, or the start of one. */
const Typed = Type.String({ minLength: 1, maxLength: 128 });
const BoxWords = Type.Array(Typed, { maxItems: 1_000 });

export const GroupMember = Type.Object(
  {
    id: Type.Unsafe<SandboxId>(Type.String({ pattern: SANDBOX_ID_PATTERN })),
    name: Name,
    /** As its node described it last. Absent: it has ended. */
    box: Type.Optional(Box),
  },
  closed,
);
export type GroupMember = Static<typeof GroupMember>;

export const Group = Type.Object(
  {
    /** `grp` and a UUID. */
    id: Type.String(),
    name: Name,
    /** Wall time in milliseconds since 1970. */
    made: Type.Integer({ minimum: 0, maximum: 8.64e15 }),
    /** In the order in which they were added. */
    members: Type.Array(GroupMember),
  },
  closed,
);
export type Group = Static<typeof Group>;

/** GET /v1/groups. */
export const GroupsReply = Type.Object({ groups: Type.Array(Group) }, closed);
export type GroupsReply = Static<typeof GroupsReply>;

/** POST /v1/groups: answered with a Group. */
export const GroupRequest = Type.Object(
  {
    /** @default two words */
    name: Type.Optional(Type.String({ maxLength: 255 })),
    boxes: Type.Optional(BoxWords),
  },
  closed,
);
export type GroupRequest = Static<typeof GroupRequest>;

/** POST /v1/groups/:group/members: answered with a Group. One that is in it already stays where it is. */
export const MembersRequest = Type.Object({ boxes: BoxWords }, closed);
export type MembersRequest = Static<typeof MembersRequest>;

/** GET and DELETE /v1/groups/:group: a Group. Its sandboxes live on. */
export const GroupParams = Type.Object({ group: Typed }, closed);
export type GroupParams = Static<typeof GroupParams>;
/** GET. exact: a whole name or id only, as where a sandbox may be meant as well. */
export const GroupQuery = Type.Object({ exact: Type.Boolean({ default: false }) }, closed);
export type GroupQuery = Static<typeof GroupQuery>;

/** DELETE /v1/groups/:group/members/:box: takes one out, also one that has ended. */
export const MemberParams = Type.Object({ group: Typed, box: Typed }, closed);
export type MemberParams = Static<typeof MemberParams>;
