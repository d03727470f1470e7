/** The sandbox's host key, in the words of OpenSSH: made from 32 bytes that the owner's node keeps, so that it stays the same. */

import { createPrivateKey, createPublicKey } from "node:crypto";

export interface HostKey {
  /** As in known_hosts: `ssh-ed25519 AAAA…`. */
  readonly publicLine: string;
  /** The file that sshd reads; without a passphrase. */
  readonly privateFile: string;
}

const TYPE = "ssh-ed25519";
/** What stands before the seed in PKCS #8 (RFC 8410). */
const PKCS8_HEAD = Buffer.from("302e020100300506032b657004220420", "hex");
/** PROTOCOL.key of OpenSSH: without a cipher, padding goes to 8 bytes. */
const BLOCK_BYTES = 8;

/** @throws {RangeError} not 32 bytes */
export function hostKeyFrom(seed: Buffer): HostKey {
  if (seed.length !== 32) throw new RangeError(`a host key takes 32 bytes, not ${seed.length}`);
  const key = createPrivateKey({ key: Buffer.concat([PKCS8_HEAD, seed]), format: "der", type: "pkcs8" });
  const { x = "" } = createPublicKey(key).export({ format: "jwk" });
  const raw = Buffer.from(x, "base64url");
  const publicBlob = Buffer.concat([string(TYPE), string(raw)]);
  const secret = Buffer.concat([
    Buffer.alloc(8), // two equal numbers, by which a wrong passphrase would show
    string(TYPE),
    string(raw),
    string(Buffer.concat([seed, raw])),
    string("p2prc"),
  ]);
  const padding = Buffer.from(Array.from({ length: -secret.length & (BLOCK_BYTES - 1) }, (_, at) => at + 1));
  const one = Buffer.from([0, 0, 0, 1]);
  const file = Buffer.concat([
    Buffer.from("openssh-key-v1\0"),
    string("none"),
    string("none"),
    string(""),
    one,
    string(publicBlob),
    string(Buffer.concat([secret, padding])),
  ]);
  const lines = file.toString("base64").replace(/.{70}/gu, "$&\n").trimEnd();
  return {
    publicLine: `${TYPE} ${publicBlob.toString("base64")}`,
    privateFile: `-----BEGIN OPENSSH PRIVATE KEY-----\n${lines}\n-----END OPENSSH PRIVATE KEY-----\n`,
  };
}

function string(content: Buffer | string): Buffer {
  const bytes = Buffer.from(content);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}
