/**
 * Ed25519 keys as OpenSSH keeps them: the public half in one line, the private one in the file format of its PROTOCOL.key.
 * Node itself writes PKCS #8 only, which older `ssh` does not read.
 */

import { createPrivateKey, createPublicKey } from "node:crypto";

export interface OpensshKey {
  /** `ssh-ed25519 AAAA…`, without a comment. */
  readonly publicLine: string;
  /** The whole file. */
  readonly privateFile: string;
}

const TYPE = "ssh-ed25519";
/** RFC 8410: what stands before the 32 bytes of the seed in PKCS #8. */
const PKCS8_HEAD = Buffer.from("302e020100300506032b657004220420", "hex");
const SEED_BYTES = 32;
/** Without encryption the private section is padded to this. */
const BLOCK_BYTES = 8;
const LINE = 70;

/** @param seed 32 random bytes. @param check 4 random bytes, which say to a reader that the section was decrypted */
export function opensshKey(seed: Uint8Array, check: Uint8Array): OpensshKey {
  if (seed.length !== SEED_BYTES || check.length !== 4) throw new RangeError("a key takes 32 bytes, its check 4");
  const publicKey = publicHalf(seed);
  const publicBlob = Buffer.concat([string(TYPE), string(publicKey)]);
  const secret = Buffer.concat([
    check,
    check,
    string(TYPE),
    string(publicKey),
    string(Buffer.concat([seed, publicKey])),
    string(""),
  ]);
  const file = Buffer.concat([
    Buffer.from("openssh-key-v1\0"),
    string("none"), // cipher
    string("none"), // key derivation
    string(""),
    uint32(1),
    string(publicBlob),
    string(padded(secret)),
  ]);
  return { publicLine: `${TYPE} ${publicBlob.toString("base64")}`, privateFile: armoured(file) };
}

function publicHalf(seed: Uint8Array): Buffer {
  const key = createPrivateKey({ key: Buffer.concat([PKCS8_HEAD, seed]), format: "der", type: "pkcs8" });
  return createPublicKey(key).export({ format: "der", type: "spki" }).subarray(-32);
}

/** RFC 4251 section 5: a length, then the bytes. */
function string(value: string | Uint8Array): Buffer {
  const bytes = Buffer.from(value as Uint8Array);
  return Buffer.concat([uint32(bytes.length), bytes]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** With 1, 2, 3 … up to a whole block. */
function padded(bytes: Buffer): Buffer {
  const missing = (BLOCK_BYTES - (bytes.length % BLOCK_BYTES)) % BLOCK_BYTES;
  return Buffer.concat([bytes, Buffer.from(Array.from({ length: missing }, (_, index) => index + 1))]);
}

function armoured(bytes: Buffer): string {
  const lines = bytes.toString("base64").match(new RegExp(`.{1,${LINE}}`, "g")) ?? [];
  return ["-----BEGIN OPENSSH PRIVATE KEY-----", ...lines, "-----END OPENSSH PRIVATE KEY-----", ""].join("\n");
}
