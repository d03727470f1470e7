/**
 * A Noise handshake of the library with a guard at each message.
 *
 * What the other end says about addresses decides where this node sends packets, and what it says about relays whom it
 * dials (hyperdht #296): so addresses that nobody should be sent to are dropped, and whoever names a relay is
 * refused. The guard also sees, before anything is spent on it, each first message that comes in.
 */

import type { Address, Handshake, NoisePayload } from "./engine.ts";

export interface HandshakeGuard {
  /** Throws to refuse the message unread. */
  readonly beforeReading?: () => void;
  /** Whether packets may be sent there because somebody said so. */
  readonly mayReach: (address: Address) => boolean;
  /** What this end answers is about to leave; `streamId` names the raw stream that was made for it, 0: none. */
  readonly onAnswer?: (remotePublicKey: Buffer, streamId: number) => void;
}

/** A node tells its own address and as many as it has relays. */
const MAX_ADDRESSES = 4;

export class GuardedHandshake implements Handshake {
  readonly #inner: Handshake;
  readonly #guard: HandshakeGuard;

  constructor(inner: Handshake, guard: HandshakeGuard) {
    this.#inner = inner;
    this.#guard = guard;
  }

  get remotePublicKey(): Buffer {
    return this.#inner.remotePublicKey;
  }

  send(payload: NoisePayload): Buffer {
    this.#guard.onAnswer?.(this.remotePublicKey, payload.udx?.id ?? 0);
    return this.#inner.send(payload);
  }

  recv(message: Buffer): NoisePayload {
    this.#guard.beforeReading?.();
    return cleaned(this.#inner.recv(message), this.#guard.mayReach);
  }

  final(): unknown {
    return this.#inner.final();
  }
}

function cleaned(payload: NoisePayload, mayReach: (address: Address) => boolean): NoisePayload {
  if (payload.relayThrough !== null) throw new Error("a relay was named that nobody asked for");
  const { holepunch, addresses4, relayAddresses } = payload;
  const few = (addresses: readonly Address[]) => addresses.slice(0, MAX_ADDRESSES).filter(mayReach);
  return {
    ...payload,
    addresses4: few(addresses4),
    relayAddresses: relayAddresses === null ? null : few(relayAddresses),
    holepunch: holepunch === null ? null : { ...holepunch, relays: relaysOf(holepunch, mayReach) },
  };
}

function relaysOf({ relays }: NonNullable<NoisePayload["holepunch"]>, mayReach: (address: Address) => boolean) {
  return relays
    .slice(0, MAX_ADDRESSES)
    .filter(({ relayAddress, peerAddress }) => mayReach(relayAddress) && mayReach(peerAddress));
}

/** The library guesses among these. */
const ANY_PORT = 49_152;

/**
 * The same for addresses that come while holes are punched; behind a symmetric NAT they come with port 0, for nobody knows
 * it. For the library's `holepunch` option.
 */
export function mayPunchAt(mayReach: (address: Address) => boolean) {
  const isGood = ({ host, port }: Address) => mayReach({ host, port: port === 0 ? ANY_PORT : port });
  return (_remote: number, _local: number, addresses: readonly Address[]): boolean =>
    addresses.length <= MAX_ADDRESSES && addresses.every(isGood);
}
