/**
 * How many wrong tokens this node tells of and writes down: few per key, few per address, and not many in
 * all, since keys and IPv6 addresses cost nothing. Right ones are not counted and always pass: looking a
 * token up costs the same whatever it is, and one of 2^128 is not guessed.
 */

import { type Clock, TokenBuckets } from "../base/index.ts";
import { type Caller, Failure, remoteGroup } from "../core/index.ts";

type NodeCaller = Extract<Caller, { readonly kind: "node" }>;

const A_MINUTE = 60_000;

export class RedeemRation {
  readonly #byKey: TokenBuckets;
  readonly #byAddress: TokenBuckets;
  readonly #inAll: TokenBuckets;

  constructor(clock: Clock) {
    this.#byKey = new TokenBuckets(clock, { burst: 5, everyMs: A_MINUTE });
    this.#byAddress = new TokenBuckets(clock, { burst: 10, everyMs: A_MINUTE });
    this.#inAll = new TokenBuckets(clock, { burst: 200, everyMs: 200, maxKeys: 1 });
  }

  /** Counts a wrong one. @throws {Failure} too-often when the caller, or everybody, showed too many lately */
  take(caller: NodeCaller): void {
    const waitMs = Math.max(
      this.#byKey.waitMs(caller.id),
      this.#byAddress.waitMs(remoteGroup(caller.remote)),
      this.#inAll.waitMs(""),
    );
    if (waitMs > 0) {
      throw new Failure("too-often", "the invite is refused: this node does not know it, and was shown many such", {
        hint: "copy the invite whole, or ask the owner of that node for a new one",
      });
    }
    this.#byKey.take(caller.id);
    this.#byAddress.take(remoteGroup(caller.remote));
    this.#inAll.take("");
  }
}
