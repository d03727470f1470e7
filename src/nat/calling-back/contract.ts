/** Between nodes: `POST /v1/reach/back`: who can be dialled asks another node, reached in a roundabout way, to dial him. */

import { type Static, Type } from "typebox";
import { pathKinds } from "../../network/index.ts";
import { SignedRecord } from "../../core/index.ts";

const closed = { additionalProperties: false } as const;

/** The asker's own record: it says where. */
export const CallBackRequest = Type.Object({ record: SignedRecord }, closed);
export type CallBackRequest = Static<typeof CallBackRequest>;

/** The asker may ask on the new link from now on. */
export const CallBackReply = Type.Object({ path: Type.Enum([...pathKinds]) });
export type CallBackReply = Static<typeof CallBackReply>;
