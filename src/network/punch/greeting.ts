/**
 * The first words on a punched stream, before anything may be done with it.
 *
 * Noise proves keys, but its first message can be replayed by whoever passed it on: the library then shows a
 * connection on which nobody can read or write (a ghost). And it calls a stream open that leads nowhere. So each
 * end sends a fresh nonce and wants it back within 5 s; the dialler also says whether it will ask or answer.
 *
 *     dialler  -> "p2prc punch 1\n" role nonce
 *     listener -> own nonce, the dialler's nonce
 *     dialler  -> the listener's nonce
 */

import { type Clock, isAbort, type Random, within } from "../../base/index.ts";
import { Failure } from "../../core/index.ts";
import type { SecretStream } from "./engine.ts";
import { duplexOver, type SecretDuplex } from "./secret-duplex.ts";

const MAGIC = Buffer.from("p2prc punch 1\n");
const NONCE_BYTES = 32;
const ROLES = { asks: 1, answers: 2 } as const;
const GREETING_MS = 5_000;

export interface Greeted extends SecretDuplex {
  /** Whether this end asks. */
  readonly asks: boolean;
}

export interface GreetingDeps {
  readonly clock: Clock;
  readonly random: Random;
}

/** Reads exactly `bytes`, then goes on with what it returns. */
interface Step {
  readonly bytes: number;
  take(message: Buffer): Step | { readonly asks: boolean };
}

/**
 * The dialler's side. The stream belongs to the result, or is destroyed.
 * @throws {Failure} unreachable
 */
export function greet(
  stream: SecretStream,
  { asks, ...deps }: GreetingDeps & { readonly asks: boolean },
  signal: AbortSignal,
): Promise<Greeted> {
  const nonce = Buffer.from(deps.random.bytes(NONCE_BYTES));
  const step: Step = {
    bytes: 2 * NONCE_BYTES,
    take: (reply) => {
      if (!reply.subarray(NONCE_BYTES).equals(nonce)) throw notOurs();
      stream.write(Buffer.from(reply.subarray(0, NONCE_BYTES)));
      return { asks };
    },
  };
  stream.write(Buffer.concat([MAGIC, Buffer.of(asks ? ROLES.asks : ROLES.answers), nonce]));
  return converse(stream, { step, clock: deps.clock }, signal);
}

/**
 * The listener's side. The stream belongs to the result, or is destroyed.
 * @throws {Failure} unreachable
 */
export function beGreeted(
  stream: SecretStream,
  { clock, random }: GreetingDeps,
  signal: AbortSignal,
): Promise<Greeted> {
  const nonce = Buffer.from(random.bytes(NONCE_BYTES));
  const last = (asks: boolean): Step => ({
    bytes: NONCE_BYTES,
    take: (echo) => {
      if (!echo.equals(nonce)) throw notOurs();
      return { asks };
    },
  });
  const step: Step = {
    bytes: MAGIC.length + 1 + NONCE_BYTES,
    take: (hello) => {
      const role = hello[MAGIC.length];
      const isRole = role === ROLES.asks || role === ROLES.answers;
      if (!hello.subarray(0, MAGIC.length).equals(MAGIC) || !isRole) throw notOurs();
      stream.write(Buffer.concat([nonce, hello.subarray(MAGIC.length + 1)]));
      return last(role === ROLES.answers);
    },
  };
  return converse(stream, { step, clock }, signal);
}

async function converse(
  stream: SecretStream,
  { step, clock }: { readonly step: Step; readonly clock: Clock },
  signal: AbortSignal,
): Promise<Greeted> {
  const late = () => new Failure("unreachable", `it opened, but nobody spoke within ${GREETING_MS / 1000} s`);
  const { promise, resolve, reject } = Promise.withResolvers<Greeted>();
  const conversation = new Conversation(stream, step, { resolve, reject });
  try {
    return await within({ clock, timeoutMs: GREETING_MS, late }, () => promise, signal);
  } catch (error) {
    stream.destroy();
    throw isAbort(error, signal) ? signal.reason : error;
  } finally {
    conversation.end();
    promise.catch(() => undefined); // it may come too late
  }
}

class Conversation {
  readonly #stream: SecretStream;
  readonly #outcome: { resolve(greeted: Greeted): void; reject(error: unknown): void };
  #step: Step;
  #received: Buffer = Buffer.alloc(0);

  constructor(
    stream: SecretStream,
    step: Step,
    outcome: { resolve(greeted: Greeted): void; reject(error: unknown): void },
  ) {
    this.#stream = stream;
    this.#step = step;
    this.#outcome = outcome;
    stream.on("data", this.#onData).once("close", this.#onClose);
    if (stream.destroyed) this.#onClose();
  }

  end(): void {
    this.#stream.removeListener("data", this.#onData).removeListener("close", this.#onClose);
  }

  readonly #onClose = () => {
    this.#outcome.reject(new Failure("unreachable", "it opened, and closed again before anybody spoke"));
  };

  /** What follows the last word belongs to the pipe: it is handed over in the same turn, so that nothing slips through. */
  readonly #onData = (chunk: Buffer) => {
    this.#received = Buffer.concat([this.#received, chunk]);
    try {
      while (this.#received.length >= this.#step.bytes) {
        const message = this.#received.subarray(0, this.#step.bytes);
        this.#received = this.#received.subarray(this.#step.bytes);
        const next = this.#step.take(message);
        if ("asks" in next) {
          this.end();
          this.#outcome.resolve({ ...duplexOver(this.#stream, this.#received), asks: next.asks });
          return;
        }
        this.#step = next;
      }
    } catch (error) {
      this.end();
      this.#outcome.reject(error);
    }
  };
}

function notOurs(): Failure {
  return new Failure("unreachable", "it opened, but what answers is no p2prc node of this network");
}
