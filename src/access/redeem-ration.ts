/**
 * How many wrong tokens this node listens to: few per key, few per address, and not many in all,
 * since keys and IPv6 addresses cost nothing. Right ones are not counted.
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
    // So many guesses would need 10^28 years for one of 2^128; a flood of them costs this node no more than that.
    this.#inAll = new TokenBuckets(clock, { burst: 200, everyMs: 200, maxKeys: 1 });
  }

  /** @throws {Failure} too-often when the caller showed too many wrong ones lately */
  check(caller: NodeCaller): void {
    const waitMs = Math.max(
      this.#byKey.waitMs(caller.id),
      this.#byAddress.waitMs(remoteGroup(caller.remote)),
      this.#inAll.waitMs(""),
    );
    if (waitMs === 0) return;
    throw new Failure("too-often", "too many wrong invites came from there", {
      hint: `try again in ${Math.ceil(waitMs / 1000)} s, with an invite that is copied whole`,
    });
  }

  noteWrong(caller: NodeCaller): void {
    this.#byKey.take(caller.id);
    this.#byAddress.take(remoteGroup(caller.remote));
    this.#inAll.take("");
  }
}
