/**
 * TLS inside a byte stream that another node passes on: what comes out is a pipe like one over TCP.
 *
 * The node in between sees ciphertext alone; what it drops, delays or changes, the handshake and the records notice. Those who
 * come through it are held to what those who come by TCP are: few handshakes at once and none that takes long, few of them of one
 * asker or through one and the same relay. Known askers have places of their own. The relay says who asks: if it lies,
 * those suffer who come through it, and a place of somebody known leads to nobody else.
 */

import type { Duplex } from "node:stream";
import { type Clock, within } from "../base/index.ts";
import { Failure, type NodeId } from "../core/index.ts";
import type { Pipe } from "./carrier.ts";
import { Cushion } from "./cushion.ts";
import { HalfOpen } from "./half-open.ts";
import type { Identity } from "./identity.ts";
import { formatLastWord } from "./last-word.ts";
import type { Path } from "./link.ts";
import { Tls } from "./tls.ts";

export interface InnerTlsDeps {
  readonly identity: Identity;
  readonly clock: Clock;
  /** A link has ended, by a limit of the relay between: so it says. @default nobody hears of it */
  readonly onLimit?: (ended: Ended) => void;
}

/** A link that a relay has ended. */
export interface Ended {
  readonly peer: NodeId;
  readonly path: Path & { readonly via: NodeId };
  readonly why: Failure;
}

export interface InnerTlsOptions {
  /** From the open stream to a proven key. @default 10_000 */
  readonly handshakeTimeoutMs?: number;
  /** Of those who come, under way at once; and as many of those who are known. @default 64 */
  readonly maxHandshakes?: number;
  /** Of these, through one relay. @default 16 */
  readonly maxHandshakesPerRelay?: number;
  /** Of these, of one who asks. @default 4 */
  readonly maxHandshakesPerAsker?: number;
}

/** Who passes it on, and what people call that. */
export interface Passed {
  readonly via: NodeId;
  readonly remote: string;
}

/** Whom the relay says that it brings. */
export interface Brought extends Passed {
  readonly asker: string;
  /** Own nodes, friends and guests. @default a stranger */
  readonly isKnown?: boolean;
}

export interface InnerDial extends Passed {
  readonly expect: NodeId;
  /** false: this end answers. @default true */
  readonly asks?: boolean;
}

export class InnerTls {
  readonly #clock: Clock;
  readonly #onLimit: InnerTlsDeps["onLimit"];
  readonly #tls: Tls;
  readonly #timeoutMs: number;
  readonly #known: HalfOpen;
  readonly #strangers: HalfOpen;

  constructor({ identity, clock, onLimit }: InnerTlsDeps, options: InnerTlsOptions = {}) {
    this.#clock = clock;
    this.#onLimit = onLimit;
    this.#tls = new Tls(identity);
    this.#timeoutMs = options.handshakeTimeoutMs ?? 10_000;
    const { maxHandshakes: max = 64, maxHandshakesPerRelay: maxPerShare = 16 } = options;
    const places = { max, maxPerShare, maxPerGroup: options.maxHandshakesPerAsker ?? 4 };
    this.#known = new HalfOpen(places);
    this.#strangers = new HalfOpen(places);
  }

  /**
   * A pipe to whoever is meant. `duplex` belongs to it, or is destroyed.
   * @throws {Failure} unreachable, wrong-key, timed-out
   */
  async dial(duplex: Duplex, { expect, asks = true, ...passed }: InnerDial, signal: AbortSignal): Promise<Pipe> {
    const cushion = new Cushion(duplex);
    const { socket, peer } = await this.#inTime(duplex, signal, (attempt) =>
      this.#tls.dial(cushion, { expect, asks }, attempt),
    ).catch((error: unknown) => {
      throw whyEnded(cushion, passed.remote) ?? error;
    });
    return this.#pipe({ socket, cushion }, passed, { peer, asks });
  }

  /**
   * The pipe of somebody who comes through a relay; whoever shows no key is sent away. `duplex` belongs to it, or is destroyed.
   * @throws {Failure} unreachable, wrong-key, timed-out
   */
  async accept(duplex: Duplex, { asker, isKnown = false, ...passed }: Brought, signal: AbortSignal): Promise<Pipe> {
    const halfOpen = isKnown ? this.#known : this.#strangers;
    const share = passed.via;
    const newcomer = { group: `${share} ${asker}`, share, isTrusted: false, destroy: () => void duplex.destroy() };
    halfOpen.add(newcomer);
    try {
      const cushion = new Cushion(duplex);
      const { socket, peer, protocol } = await this.#inTime(duplex, signal, (attempt) =>
        this.#tls.accept(cushion, attempt),
      );
      if (peer === undefined || protocol === "http1") {
        socket.destroy();
        throw new Failure("unreachable", "who comes through a relay must show a key");
      }
      if (isKnown && peer !== asker) {
        socket.destroy();
        throw new Failure("wrong-key", "somebody else came than the relay said");
      }
      return this.#pipe({ socket, cushion }, passed, { peer, asks: protocol === "reverse" });
    } finally {
      halfOpen.delete(newcomer);
    }
  }

  #pipe(
    { socket, cushion }: { readonly socket: Duplex & { readonly bytesRead: number }; readonly cushion: Cushion },
    { via, remote }: Passed,
    { peer, asks }: { readonly peer: NodeId; readonly asks: boolean },
  ): Pipe {
    const path = { kind: "relayed", remote, via } as const;
    const why = () => whyEnded(cushion, remote);
    socket.once("close", () => {
      const limit = why();
      if (limit !== undefined) this.#onLimit?.({ peer, path, why: limit });
    });
    return { duplex: socket, peer, path, asks, http: "h2", bytesRead: () => socket.bytesRead, whyEnded: why };
  }

  async #inTime<T>(duplex: Duplex, signal: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const timeoutMs = this.#timeoutMs;
    const late = () => new Failure("timed-out", `no answer within ${timeoutMs / 1000} s`);
    try {
      return await within({ clock: this.#clock, timeoutMs, late }, work, signal);
    } catch (error) {
      duplex.destroy();
      throw error;
    }
  }
}

/** What the relay says; only its words are used. */
function whyEnded({ lastWord }: Cushion, remote: string): Failure | undefined {
  if (lastWord === undefined) return undefined;
  const isGuests = lastWord.whose === "guest" || lastWord.whose === "trusted" || lastWord.whose === "all";
  const more = isGuests ? "" : "; for those whom its owner invites it is more";
  return new Failure("link-lost", `the relay ended the link ${remote}: ${formatLastWord(lastWord)}${more}`, {
    hint: isGuests ? "try again" : "ask the owner of the relay for an invite: `p2prc invite --relay` there",
  });
}
