/**
 * Punches through to a key: the library finds the other end and makes the holes, the greeting shows whether they lead
 * anywhere. Where they do not, it is tried once more without the library's fast way, which takes its own first
 * packet for the answer (hyperdht #281) and costs a second less when it is right.
 */

import { type Clock, type Random, within } from "../../base/index.ts";
import { cleanText, Failure, type NodeId, nodeIdFromPublicKey } from "../../core/index.ts";
import type { Pipe } from "../carrier.ts";
import { type Address, boundFrames, type CreateHandshake, type Dht, type SecretStream } from "./engine.ts";
import { type Greeted, greet } from "./greeting.ts";
import { mayPunchAt } from "./guarded-handshake.ts";

export interface PunchTarget {
  readonly id: NodeId;
  readonly publicKey: Buffer;
  readonly asks: boolean;
}

export interface PunchDeps {
  readonly dht: Dht;
  readonly createHandshake: CreateHandshake;
  readonly mayReach: (address: Address) => boolean;
  readonly clock: Clock;
  readonly random: Random;
}

/** Guessing the ports of a symmetric NAT takes the library up to 35 s, and a handshake before it up to 10. */
const PUNCH_MS = 50_000;
/** Either end guesses ports for one other at a time, and rests 2 s after it (`engine.ts`). */
const REST_MS = 2_500;

/**
 * @throws {Failure} unreachable, timed-out
 */
export async function punch(deps: PunchDeps, target: PunchTarget, signal: AbortSignal): Promise<Pipe> {
  const late = () => new Failure("timed-out", `no hole was open after ${PUNCH_MS / 1000} s`);
  const first = await within(
    { clock: deps.clock, timeoutMs: PUNCH_MS, late },
    (attempt) => tryOnce(deps, { ...target, fastOpen: true }, attempt),
    signal,
  );
  if ("pipe" in first) return first.pipe;
  if (first.again === "never") throw first.why;
  if (first.again === "later") await deps.clock.sleep(REST_MS, signal);
  const second = await within(
    { clock: deps.clock, timeoutMs: PUNCH_MS, late },
    (attempt) => tryOnce(deps, { ...target, fastOpen: false }, attempt),
    signal,
  );
  if ("pipe" in second) return second.pipe;
  throw second.why;
}

type Again = "at once" | "later" | "never";
type Outcome = { readonly pipe: Pipe } | { readonly why: Failure; readonly again: Again };

async function tryOnce(
  { dht, createHandshake, mayReach, clock, random }: PunchDeps,
  { id, publicKey, asks, fastOpen }: PunchTarget & { readonly fastOpen: boolean },
  signal: AbortSignal,
): Promise<Outcome> {
  const stream = dht.connect(publicKey, {
    fastOpen,
    createHandshake,
    holepunch: mayPunchAt(mayReach),
    localConnection: false, // nodes of one house meet by multicast, and nobody else needs to hear of its addresses
  });
  boundFrames(stream);
  let error: unknown;
  stream.on("error", (why: unknown) => {
    error = why;
  });
  if (!(await opened(stream, signal))) return failed(error);
  try {
    const greeted = await greet(stream, { clock, random, asks }, signal);
    return { pipe: pipeFrom(stream, greeted, id) };
  } catch (why) {
    if (!(why instanceof Failure)) throw why;
    return { why, again: "at once" };
  }
}

/** Resolves with false when it closed instead. */
function opened(stream: SecretStream, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const onAbort = () => {
      end();
      stream.destroy();
      reject(signal.reason as Error);
    };
    const onOpen = () => {
      end();
      resolve(true);
    };
    const onClose = () => {
      end();
      resolve(false);
    };
    const end = () => {
      signal.removeEventListener("abort", onAbort);
      stream.removeListener("open", onOpen).removeListener("close", onClose);
    };
    if (signal.aborted) {
      onAbort();
      return;
    }
    signal.addEventListener("abort", onAbort, { once: true });
    stream.once("open", onOpen).once("close", onClose);
  });
}

/** @param peer the key that the library has proven */
export function pipeFrom(stream: SecretStream, { duplex, asks, bytesRead }: Greeted, peer: NodeId): Pipe {
  const { remoteHost, remotePort } = stream.rawStream ?? {};
  return {
    duplex,
    peer,
    asks,
    http: "h2",
    path: { kind: "punched", remote: `${remoteHost ?? ""}:${remotePort ?? 0}` },
    bytesRead,
  };
}

export function peerOf(stream: SecretStream): NodeId {
  return nodeIdFromPublicKey(stream.remotePublicKey);
}

/** The library's words for people, and whether a second try may do better. */
const REASONS: Readonly<Record<string, { readonly text: string; readonly again?: Again }>> = {
  PEER_NOT_FOUND: { text: "nobody in the DHT knows where it is" },
  PEER_CONNECTION_FAILED: { text: "it did not answer through the DHT" },
  HOLEPUNCH_DOUBLE_RANDOMIZED_NATS: { text: "both NATs are symmetric: no hole can be punched" },
  CANNOT_HOLEPUNCH: { text: "no node of the DHT passes packets on to it" },
  HOLEPUNCH_PROBE_TIMEOUT: { text: "too few nodes of the DHT answered to see how the NATs map", again: "at once" },
  HOLEPUNCH_ABORTED: { text: "the hole could not be punched", again: "later" },
  REMOTE_ABORTED: { text: "the other end gave up punching", again: "later" },
  REMOTE_NOT_HOLEPUNCHING: { text: "the other end did not punch", again: "later" },
  REMOTE_NOT_HOLEPUNCHABLE: { text: "the hole could not be punched", again: "later" },
};

function failed(cause: unknown): Outcome {
  const { code, message } = cause as { readonly code?: string; readonly message?: string };
  const known = REASONS[code ?? ""];
  const text = known?.text ?? (message === undefined ? "it closed before it was open" : cleanText(message, 120));
  return { why: new Failure("unreachable", text, { cause }), again: known?.again ?? "never" };
}
