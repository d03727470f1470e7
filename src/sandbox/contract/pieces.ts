/** What the shapes of this folder are made of. */

import { Type } from "typebox";
import type { NodeId } from "../../core/index.ts";
import { SANDBOX_ID_PATTERN, type SandboxId } from "../runtime/sandbox-id.ts";
import { IMAGE_PATTERN, NAME_PATTERN } from "../words.ts";

export const closed = { additionalProperties: false } as const;
export const Id = Type.Unsafe<SandboxId>(Type.String({ pattern: SANDBOX_ID_PATTERN }));
export const Node = Type.Unsafe<NodeId>(Type.String());
export const Bytes = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
/** Wall time in milliseconds since 1970. */
export const WallTime = Type.Integer({ minimum: 0, maximum: 8.64e15 });
export const Milliseconds = Type.Integer({ minimum: 1_000, maximum: 366 * 24 * 3_600_000 });
export const Name = Type.String({ pattern: NAME_PATTERN });
export const Image = Type.String({ pattern: IMAGE_PATTERN, maxLength: 255 });
/** One line of an OpenSSH public key file: Ed25519 only. */
export const SshKey = Type.String({ pattern: "^ssh-ed25519 [A-Za-z0-9+/]{68}$" });
