/**
 * Who is asking, and what part they play here.
 *
 * A Caller is what the carrier proved: a key, or nothing. A Role is what the owner of this node
 * made of that key. Every route and every kind of `CONNECT` target names the roles it admits; one
 * that names none does not start (`daemon/`).
 */

import type {} from "fastify";
import type { NodeId } from "./node-id.ts";

export type Caller =
  /** The person whose daemon this is, over the socket in their home. */
  | { readonly kind: "local" }
  /** A node that proved its key. */
  | { readonly kind: "node"; readonly id: NodeId; readonly remote: string }
  /** A client without a certificate. */
  | { readonly kind: "anonymous"; readonly remote: string };

/**
 * local: the person at this daemon; own: another machine of theirs; guest: holds a grant that is
 * still valid; stranger: any other key; anonymous: no key.
 */
export const roles = ["local", "own", "guest", "stranger", "anonymous"] as const;
export type Role = (typeof roles)[number];

/** Whom a route admits, from narrow to wide. */
export const admits = {
  owner: ["local"],
  own: ["local", "own"],
  guests: ["local", "own", "guest"],
  nodes: ["local", "own", "guest", "stranger"],
  everyone: roles,
} as const satisfies Record<string, readonly Role[]>;

declare module "fastify" {
  interface FastifyContextConfig {
    /** Which roles may use the route. A route without it is a defect, found when the daemon starts. */
    admits?: readonly Role[];
  }
  interface FastifyRequest {
    caller: Caller;
    role: Role;
  }
}
