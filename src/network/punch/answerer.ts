/**
 * The side that others punch through to: it is announced in the DHT under the node's key, asks the doorkeeper for each
 * who comes, and hands over whoever has greeted it.
 */

import { type Clock, isAbort, type Log, type Random, Scope } from "../../base/index.ts";
import { Failure, nodeIdFromPublicKey, remoteGroup, shortNodeId } from "../../core/index.ts";
import type { Pipe } from "../carrier.ts";
import { peerOf, pipeFrom } from "./dial.ts";
import type { Doorkeeper, Visit } from "./doorkeeper.ts";
import {
  type Address,
  announceNow,
  boundFrames,
  type Dht,
  type DhtServer,
  type Engine,
  isKnownAt,
  quietenServer,
  type SecretStream,
} from "./engine.ts";
import { beGreeted } from "./greeting.ts";
import { mayPunchAt } from "./guarded-handshake.ts";
import type { Keys } from "./keys.ts";

export interface AnswererDeps {
  readonly dht: Dht;
  readonly engine: Engine;
  readonly keys: Keys;
  readonly door: Doorkeeper;
  readonly take: (pipe: Pipe) => void;
  readonly mayReach: (address: Address) => boolean;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

export class Answerer implements AsyncDisposable {
  readonly #deps: AnswererDeps;
  readonly #server: DhtServer;
  readonly #scope = new Scope();
  /** From the moment a visitor is let in until a stream is made for it. */
  readonly #visits = new WeakMap<Buffer, Visit>();
  #asked = 0;

  /** Who knows the way gets in at once; others once it is announced. */
  static open(deps: AnswererDeps): Answerer {
    const answerer = new Answerer(deps);
    answerer.#scope.spawn(() => answerer.#listen());
    return answerer;
  }

  private constructor(deps: AnswererDeps) {
    this.#deps = deps;
    const { dht, engine, keys, mayReach } = deps;
    const guard = {
      mayReach,
      beforeReading: () => {
        if (!deps.door.mayTry()) throw new Error("too many handshakes");
      },
      onAnswer: (key: Buffer, streamId: number) => this.#follow(key, streamId),
    };
    this.#server = dht.createServer(
      {
        createHandshake: keys.handshakes(engine, guard),
        firewall: (key, _payload, from) => !this.#admit(key, from),
        holepunch: mayPunchAt(mayReach),
        shareLocalAddress: false,
      },
      (stream) => this.#welcome(stream),
    );
  }

  /** Nodes of the DHT that pass handshakes on to this one. */
  get relays(): number {
    return this.#server.relayAddresses.length;
  }

  /** Looks for better ones, and tells those that it is still there. */
  announce(): void {
    announceNow(this.#server);
  }

  /** Asks one of them after the other, one each time. */
  async isForgotten(): Promise<boolean> {
    const relays = this.#server.relayAddresses;
    const relay = relays[this.#asked++ % relays.length];
    if (relay === undefined) return true;
    try {
      return !(await isKnownAt(relay, { dht: this.#deps.dht, server: this.#server }));
    } catch {
      return false; // it is gone: the library notices that by itself
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = this.#server.close(); // first: announcing ends with it
    await this.#scope.close();
    await closed;
  }

  /** Asks the whole DHT who is nearest, so silent nodes in it cost seconds. */
  async #listen(): Promise<void> {
    const { keys, log } = this.#deps;
    try {
      await this.#server.listen(keys.keyPair);
      quietenServer(this.#server);
    } catch (error) {
      if (!this.#scope.signal.aborted) log.error("announcing this node in the DHT failed", { error });
    }
  }

  #admit(key: Buffer, from: Address): boolean {
    if (!this.#deps.mayReach(from)) return false;
    const group = remoteGroup(`${from.host}:${from.port}`);
    const visit = this.#deps.door.admit({ id: nodeIdFromPublicKey(key), group });
    if (visit !== undefined) this.#visits.set(key, visit);
    return visit !== undefined;
  }

  /** The library tells nobody when a handshake fails, but the stream that it made for it closes then. */
  #follow(key: Buffer, streamId: number): void {
    const visit = this.#visits.get(key);
    if (visit === undefined) return;
    this.#visits.delete(key);
    const stream = [...this.#deps.dht.rawStreams].find(({ id }) => id === streamId);
    if (stream === undefined) visit.ended();
    else stream.once("connect", () => visit.connected()).once("close", () => visit.ended());
  }

  #welcome(stream: SecretStream): void {
    boundFrames(stream);
    stream.on("error", () => {}); // "close" follows, and is what counts
    if (this.#scope.signal.aborted) {
      stream.destroy();
      return;
    }
    this.#scope.spawn((signal) => this.#receive(stream, signal));
  }

  async #receive(stream: SecretStream, signal: AbortSignal): Promise<void> {
    const { take, clock, random, log } = this.#deps;
    const peer = peerOf(stream);
    try {
      take(pipeFrom(stream, await beGreeted(stream, { clock, random }, signal), peer));
    } catch (error) {
      stream.destroy();
      if (isAbort(error, signal)) return;
      // One that somebody else opened: a defect in it must not end all the others.
      if (!(error instanceof Failure))
        log.error("taking in a punched stream failed", { node: shortNodeId(peer), error });
      else log.debug("a punched stream did not come up", { node: shortNodeId(peer), why: error.message });
    }
  }
}
