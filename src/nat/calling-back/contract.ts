/**
 * Between nodes that reach each other in a roundabout way, so that one of them can be dialled:
 * `POST /v1/reach/back`, dial me; `GET /v1/reach/unverified`, where you may be dialled though nobody verified it.
 */

import { type Static, Type } from "typebox";
import { pathKinds } from "../../network/index.ts";
import { SignedRecord } from "../../core/index.ts";

const closed = { additionalProperties: false } as const;

/** What one router opened, as it says of itself and as another node sees it. */
export const MAX_UNVERIFIED = 2;
/** Told to this one node over this one link: in no record, and in nobody's table. */
const Places = Type.Array(
  Type.Object({ host: Type.String({ maxLength: 45 }), port: Type.Integer({ minimum: 1, maximum: 65_535 }) }),
  { maxItems: MAX_UNVERIFIED },
);

export const CallBackRequest = Type.Object(
  {
    /** The asker's own record: it says where. */
    record: SignedRecord,
    /** And where else it may be worth a try. */
    unverified: Type.Optional(Places),
  },
  closed,
);
export type CallBackRequest = Static<typeof CallBackRequest>;

/** The asker may ask on the new link from now on. */
export const CallBackReply = Type.Object({ path: Type.Enum([...pathKinds]) });
export type CallBackReply = Static<typeof CallBackReply>;

export const UnverifiedReply = Type.Object({ places: Places });
export type UnverifiedReply = Static<typeof UnverifiedReply>;
