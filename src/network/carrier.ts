/**
 * A Carrier brings a pipe about: an authenticated, encrypted stream of bytes to a key.
 *
 * Who dials and who asks are separate: the dialler says which it wants (`asks`), and the other end
 * takes the opposite part. What a carrier hands over has proved its key and nothing else; a link
 * counts as up only after a round trip of our own on it (`h2-link.ts`).
 */

import type { Duplex } from "node:stream";
import type { Endpoint, Failure, NodeId } from "../core/index.ts";
import type { Path } from "./link.ts";

export interface Pipe {
  readonly duplex: Duplex;
  /** Undefined: the other end is a client without a certificate. */
  readonly peer: NodeId | undefined;
  readonly path: Path;
  /** Whether this end asks and the other answers. */
  readonly asks: boolean;
  /** HTTP/1.1 comes only from clients without a key, such as a browser. */
  readonly http: "h2" | "http1";
  /** Bytes that have arrived so far: what tells a slow pipe from a dead one. */
  bytesRead(): number;
  /** Why whatever is in between has ended it, as far as that said so. */
  whyEnded?(): Failure | undefined;
}

export interface DialRequest {
  readonly endpoint: Endpoint;
  /** The key that must answer. Undefined: any, to learn who it is. */
  readonly expect: NodeId | undefined;
  /** false: this end wants to answer (a reverse link). */
  readonly asks: boolean;
  /** An address of this machine. @default the system's choice */
  readonly from?: string | undefined;
}

export interface Carrier {
  /**
   * Resolves with a pipe whose `peer` is proven.
   * @throws {Failure} unreachable, wrong-key, timed-out
   */
  dial(request: DialRequest, signal: AbortSignal): Promise<Pipe>;
  /**
   * Takes pipes in until the listener is disposed of, and gives each one to `onPipe`.
   * @throws {Failure} port-in-use, bad-address
   */
  listen(onPipe: (pipe: Pipe) => void, options: ListenOptions, signal: AbortSignal): Promise<Listener>;
}

export interface ListenOptions {
  /** Literal addresses. @default every address of this machine, both families where the kernel has them */
  readonly hosts?: readonly string[];
  /** 0: any free one. */
  readonly port: number;
}

export interface Listener extends AsyncDisposable {
  readonly endpoints: readonly Endpoint[];
}
