/** A stranger with the library in his hands: he sends what an honest node never would. */

import { generateKeyPairSync } from "node:crypto";
import type { Identity } from "../../src/network/index.ts";
import {
  type Address,
  type CreateHandshake,
  type Dht,
  type Engine,
  type KeyPair,
  loadEngine,
  type NoisePayload,
  type SecretStream,
} from "../../src/network/punch/engine.ts";
import { Keys } from "../../src/network/punch/keys.ts";
import { freePorts, LOOPBACK } from "./punch-lab.ts";

/** Parts of the library that nobody else needs. */
interface Inside {
  readonly _router: { peerHandshake(target: Buffer, message: { noise: Buffer }, to: Address): Promise<unknown> };
  readonly constructor: { hash(data: Buffer): Buffer };
}

/** What the library puts into each first message. */
const usual = { firewall: 0, holepunch: null, addresses4: [], relayThrough: null, relayAddresses: null };
const unused = { version: 1, error: 0, addresses6: [], secretStream: {} };

export class PunchAttacker implements AsyncDisposable {
  readonly #dht: Dht;
  readonly #engine: Engine;

  static async open(dhtPort: number): Promise<PunchAttacker> {
    const engine = await loadEngine();
    const bootstrap = [{ host: LOOPBACK, port: dhtPort }];
    const port = await freePorts(1);
    const dht = engine.openDht({ bootstrap, keyPair: newKeys(), host: LOOPBACK, port, mayReach: () => true });
    await dht.fullyBootstrapped();
    return new PunchAttacker(dht, engine);
  }

  private constructor(dht: Dht, engine: Engine) {
    this.#dht = dht;
    this.#engine = engine;
  }

  /** A stream of the library, without a word of ours. */
  connect(to: Identity): SecretStream {
    const stream = this.#dht.connect(publicKeyOf(to), { createHandshake: this.#handshake, localConnection: false });
    stream.on("error", () => {});
    return stream;
  }

  /** A first message such as `to` takes. @param keyPair @default one that nobody has seen */
  firstMessage(to: Identity, part: Partial<NoisePayload> = {}, keyPair = newKeys()): Buffer {
    const udx = { reusableSocket: false, id: 1 + Math.floor(Math.random() * 2 ** 31), seq: 0 };
    return this.#handshake(keyPair, publicKeyOf(to)).send({ ...unused, ...usual, udx, ...part });
  }

  /** Sends it to each of the four ends of the DHT: to the node that is meant, or for those to pass on that know it. */
  send(noise: Buffer, to: Identity, firstPort: number): void {
    const inside = this.#dht as unknown as Inside;
    const target = inside.constructor.hash(publicKeyOf(to));
    for (let port = firstPort; port < firstPort + 4; port++) {
      inside._router.peerHandshake(target, { noise }, { host: LOOPBACK, port }).catch(() => {}); // a refusal is silence
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#dht.destroy({ force: true });
  }

  readonly #handshake: CreateHandshake = (keyPair, remotePublicKey) =>
    this.#engine.openHandshake({ keyPair, remotePublicKey, context: undefined });
}

export function newKeys(): KeyPair {
  return new Keys(generateKeyPairSync("ed25519").privateKey, undefined).keyPair;
}

function publicKeyOf({ key }: Identity): Buffer {
  return new Keys(key, undefined).keyPair.publicKey;
}
