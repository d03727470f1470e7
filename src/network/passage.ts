/**
 * A Passage knows further ways to a node, beside dialling its addresses: punched through NATs, or passed on by another
 * node. They race with the addresses, and whatever wins is a link like any other.
 */

import type { Pipe } from "./carrier.ts";
import type { Dialable, PathKind } from "./link.ts";

export interface PassageWay {
  /** As `why` shows it; the pipe says for itself what it is. */
  readonly kind: PathKind;
  /** Where it leads, for people: `via garage`. */
  readonly address: string;
  /** When it starts, counted from the first way to the same node: at once where all earlier ones have failed. */
  readonly delayMs: number;
  /**
   * Resolves with a pipe on which this end asks and whose `peer` is proven to be the target.
   * @throws {Failure} unreachable, wrong-key, timed-out
   */
  open(signal: AbortSignal): Promise<Pipe>;
}

export interface Passage {
  /** None where it cannot help. Cheap: asked for each race. */
  ways(target: Dialable): readonly PassageWay[];
  /** Why there are none. Undefined: there are some, or it has nothing to say of this target. */
  hindrance?(target: Dialable): Hindrance | undefined;
}

/** A kind of path that cannot be tried, for `why`. */
export interface Hindrance {
  readonly kind: PathKind;
  readonly reason: string;
}
