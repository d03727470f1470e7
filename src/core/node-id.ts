/**
 * A NodeId names a node for as long as the node keeps its key.
 *
 * It is the node's Ed25519 public key in z-base-32: 52 characters that fit a DNS label, a file
 * name and a URL. Being a string, it is a Map key and a JSON value as it stands.
 * https://philzimmermann.com/docs/human-oriented-base-32-encoding.txt
 */

import z32 from "z32";
import { Failure } from "./errors.ts";

declare const brand: unique symbol;

export type NodeId = string & { readonly [brand]: "NodeId" };

export const PUBLIC_KEY_BYTES = 32;
export const NODE_ID_PATTERN = /^[ybndrfg8ejkmcpqxot1uwisza345h769]{51}[yo]$/;

/** @throws {Failure} bad-node-id */
export function parseNodeId(text: string): NodeId {
  const candidate = text.trim().toLowerCase();
  if (isNodeId(candidate)) return candidate;
  throw new Failure("bad-node-id", `not a node id: "${text.slice(0, 80)}"`, {
    hint: "a node id is 52 letters and digits; `p2prc status` shows yours, `p2prc ls` the ones you know",
  });
}

/** 256 bits fill 51 characters and one bit of the 52nd, so that one is `y` or `o` and each key has one spelling. */
export function isNodeId(text: string): text is NodeId {
  return NODE_ID_PATTERN.test(text);
}

export function nodeIdFromPublicKey(key: Uint8Array): NodeId {
  if (key.length !== PUBLIC_KEY_BYTES)
    throw new RangeError(`public key has ${key.length} bytes, not ${PUBLIC_KEY_BYTES}`);
  return z32.encode(key) as NodeId;
}

export function publicKeyFromNodeId(id: NodeId): Uint8Array {
  return z32.decode(id);
}

/** Enough of the id to tell nodes apart on a screen. Not an identity. */
export function shortNodeId(id: NodeId): string {
  return `${id.slice(0, 4)}…${id.slice(-4)}`;
}
