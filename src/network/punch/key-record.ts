/**
 * What a node leaves in the DHT under its own key: where it is.
 *
 * The DHT takes 1,000 bytes, too few for a whole record. This holds only what finds the node again; the library signs
 * it with the node's key, and `seq` is the record's, so the newest wins here as there.
 */

import { Type } from "typebox";
import { Compile } from "typebox/compile";
import { type Endpoint, NODE_ID_PATTERN, type NodeId, type NodeRecord } from "../../core/index.ts";

const KeyRecord = Type.Object({
  addresses: Type.Array(Type.String({ maxLength: 45 }), { maxItems: 4 }),
  port: Type.Integer({ minimum: 0, maximum: 65_535 }),
  via: Type.Array(Type.Unsafe<NodeId>(Type.String({ pattern: NODE_ID_PATTERN.source })), { maxItems: 3 }),
});
const checkKeyRecord = Compile(KeyRecord);

/** Where a node says that it is. Proves nothing: who answers there must still have its key. */
export interface Found {
  readonly endpoints: readonly Endpoint[];
  readonly via: readonly NodeId[];
}

/** At most 410 bytes. */
export function encodeKeyRecord({ addresses, port, via }: NodeRecord): Buffer {
  return Buffer.from(JSON.stringify({ addresses, port, via }));
}

/** Undefined: it is none. */
export function decodeKeyRecord(bytes: Uint8Array): Found | undefined {
  const value = parse(bytes);
  if (!checkKeyRecord.Check(value)) return undefined;
  const { addresses, port, via } = value;
  return { endpoints: port === 0 ? [] : addresses.map((host) => ({ host, port })), via };
}

function parse(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString());
  } catch {
    return undefined; // anybody may write anything under a key of his own
  }
}
