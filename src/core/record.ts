/**
 * A record: what a node says of itself, signed with its key.
 *
 * It travels as the exact bytes that were signed (a JSON text) beside the signature, so nobody
 * needs a canonical form. Only the key it names can make one; the higher `seq` wins. What others
 * measured of the node is never in it. Everything a stranger wrote is cleaned before it gets here.
 */

import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from "node:crypto";
import { isIP } from "node:net";
import { Type, type Static } from "typebox";
import { Compile } from "typebox/compile";
import { Failure } from "./errors.ts";
import { type NodeId, NODE_ID_PATTERN, publicKeyFromNodeId } from "./node-id.ts";
import { isCleanText } from "./text.ts";

/** Says what the signature is for, so that it can never pass for another kind of statement. */
const CONTEXT = "p2prc record v1\n";
export const MAX_BODY_BYTES = 1024;
export const MAX_RECORD_BYTES = 1536;
/** `seq` starts at the seconds since 1970 and grows; nobody honest gets near this. */
export const MAX_SEQ = 2 ** 40;

export const Resources = Type.Object(
  {
    cpus: Type.Integer({ minimum: 0, maximum: 65_536 }),
    memoryBytes: Type.Integer({ minimum: 0 }),
    diskBytes: Type.Integer({ minimum: 0 }),
    gpus: Type.Array(
      Type.Object(
        { model: Type.String({ maxLength: 48 }), memoryBytes: Type.Integer({ minimum: 0 }) },
        { additionalProperties: false },
      ),
      { maxItems: 8 },
    ),
  },
  { additionalProperties: false },
);
export type Resources = Static<typeof Resources>;

export const natKinds = ["none", "mapped", "cone", "symmetric", "blocked", "unknown"] as const;

export const NodeRecord = Type.Object(
  {
    v: Type.Literal(1),
    id: Type.Unsafe<NodeId>(Type.String({ pattern: NODE_ID_PATTERN.source })),
    seq: Type.Integer({ minimum: 1, maximum: MAX_SEQ }),
    name: Type.String({ minLength: 1, maxLength: 32 }),
    /** Literal IP addresses, best first. */
    addresses: Type.Array(Type.String({ maxLength: 45 }), { maxItems: 4 }),
    port: Type.Integer({ minimum: 0, maximum: 65_535 }),
    udpPort: Type.Integer({ minimum: 0, maximum: 65_535 }),
    nat: Type.Enum([...natKinds]),
    /** Nodes that hold a link to this one and pass others on to it. */
    via: Type.Array(Type.Unsafe<NodeId>(Type.String({ pattern: NODE_ID_PATTERN.source })), { maxItems: 3 }),
    labels: Type.Array(Type.String({ pattern: "^[a-z0-9][a-z0-9=._-]{0,31}$" }), { maxItems: 8 }),
    resources: Resources,
    version: Type.String({ maxLength: 32 }),
    /** The owner's free text. */
    info: Type.String({ maxLength: 200 }),
    /** Whether it lends to anybody at all. */
    lends: Type.Boolean(),
    /** Made anew at each start: tells a home that was copied to a second machine from one that moved. */
    boot: Type.String({ pattern: "^[0-9a-f]{16}$" }),
  },
  { additionalProperties: false },
);
export type NodeRecord = Static<typeof NodeRecord>;

/** As it travels and is kept. */
export const SignedRecord = Type.Object(
  {
    body: Type.String({ maxLength: MAX_BODY_BYTES }),
    signature: Type.String({ pattern: "^[A-Za-z0-9_-]{86}$" }),
  },
  { additionalProperties: false },
);
export type SignedRecord = Static<typeof SignedRecord>;

const checkRecord = Compile(NodeRecord);

/** @param key the node's private key @throws {RangeError} when the record is not valid or over its size */
export function signRecord(record: NodeRecord, key: KeyObject): SignedRecord {
  const body = JSON.stringify(record);
  if (Buffer.byteLength(body) > MAX_BODY_BYTES) throw new RangeError(`record has over ${MAX_BODY_BYTES} bytes`);
  const why = whyNotARecord(record);
  if (why !== undefined) throw new RangeError(`not a record: ${why}`);
  return { body, signature: sign(null, Buffer.from(CONTEXT + body), key).toString("base64url") };
}

/**
 * The cheap half: reads the text and checks its shape, not its signature.
 * @throws {Failure} bad-record
 */
export function readRecord(signed: SignedRecord): NodeRecord {
  if (Buffer.byteLength(signed.body) > MAX_BODY_BYTES) throw new Failure("bad-record", "record is too large");
  const value = parseJson(signed.body);
  const why = whyNotARecord(value);
  if (why !== undefined) throw new Failure("bad-record", `not a record: ${why}`);
  return value as NodeRecord;
}

/** The dear half (about 150 µs): whether the key that `record` names signed these bytes. */
export function isSignedBy(signed: SignedRecord, id: NodeId): boolean {
  return verify(
    null,
    Buffer.from(CONTEXT + signed.body),
    publicKeyObject(id),
    Buffer.from(signed.signature, "base64url"),
  );
}

/** @throws {Failure} bad-record */
export function verifyRecord(signed: SignedRecord): NodeRecord {
  const record = readRecord(signed);
  if (!isSignedBy(signed, record.id)) throw new Failure("bad-record", "the signature does not fit the record");
  return record;
}

export function publicKeyObject(id: NodeId): KeyObject {
  const x = Buffer.from(publicKeyFromNodeId(id)).toString("base64url");
  return createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" });
}

/** RFC 8410: the fixed DER prefix of an Ed25519 private key, before its 32 bytes of seed. */
const PKCS8_PREFIX = Buffer.from("302e020100300506032b657004220420", "hex");

export function privateKeyFromSeed(seed: Uint8Array): KeyObject {
  return createPrivateKey({ key: Buffer.concat([PKCS8_PREFIX, seed]), format: "der", type: "pkcs8" });
}

function whyNotARecord(value: unknown): string | undefined {
  if (!checkRecord.Check(value)) return "its shape is wrong";
  if (!value.addresses.every((address) => isIP(address) !== 0)) return "an address is not an IP address";
  const texts = [value.name, value.version, value.info, ...value.resources.gpus.map((gpu) => gpu.model)];
  if (!texts.every(isCleanText)) return "a text holds characters that are not shown";
  return undefined;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new Failure("bad-record", "record is not JSON", { cause });
  }
}
