/**
 * The node's key as the library wants it, and the network's secret as the handshakes use it.
 *
 * It is the same Ed25519 seed as everywhere: the key that Noise proves is the NodeId. The secret of a closed network is
 * mixed into the transcript of each handshake before its first message, so an outsider's first message cannot be
 * read, and is dropped before a stream or a socket is made for it.
 */

import { createHash, type KeyObject } from "node:crypto";
import type { CreateHandshake, Engine, KeyPair } from "./engine.ts";
import { GuardedHandshake, type HandshakeGuard } from "./guarded-handshake.ts";

/** Says what the hash is for. */
const CONTEXT = "p2prc network secret v1\n";

export class Keys {
  readonly keyPair: KeyPair;
  readonly #context: Uint8Array | undefined;

  constructor(key: KeyObject, networkSecret: string | undefined) {
    const { d = "", x = "" } = key.export({ format: "jwk" });
    const publicKey = Buffer.from(x, "base64url");
    this.keyPair = { publicKey, secretKey: Buffer.concat([Buffer.from(d, "base64url"), publicKey]) };
    this.#context =
      networkSecret === undefined ? undefined : createHash("sha512").update(CONTEXT).update(networkSecret).digest();
  }

  /** For the library's option of that name. */
  handshakes(engine: Engine, guard: HandshakeGuard): CreateHandshake {
    return (keyPair, remotePublicKey) =>
      new GuardedHandshake(engine.openHandshake({ keyPair, remotePublicKey, context: this.#context }), guard);
  }
}
