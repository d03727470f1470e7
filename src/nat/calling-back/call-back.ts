/**
 * Dialling a node that asks for it, so that it can ask here over a direct path: whichever end can be dialled, both get one.
 *
 * Its own signed record says where, and what it says beside that; only public addresses are dialled, each as seldom as
 * for a check: it may name a third party's address.
 */

import { type Clock, LruMap, TokenBuckets } from "../../base/index.ts";
import {
  type AllowedNetworks,
  type Endpoint,
  Failure,
  formatEndpoint,
  mayDialGossiped,
  type NodeId,
  verifyRecord,
} from "../../core/index.ts";
import type { Dialable, ReverseLink } from "../../network/index.ts";
import { CheckRation } from "../reachability/check-ration.ts";
import type { CallBackReply, CallBackRequest } from "./contract.ts";

export interface CallBackDeps {
  /** Own nodes, friends and guests: what holds strangers back is not for them. */
  readonly isKnown: (id: NodeId) => boolean;
  readonly answerOn: (target: Dialable, signal: AbortSignal) => Promise<Pick<ReverseLink, "path">>;
  readonly allowed: AllowedNetworks;
  readonly clock: Clock;
}

const MAX_PROVEN = 1_024;
/** Of one asker who is known, or where he has been found: who loses his link comes back often. */
const AGAIN = { burst: 32, everyMs: 2_000, maxKeys: MAX_PROVEN };

export class CallBack {
  readonly #deps: CallBackDeps;
  readonly #ration: CheckRation;
  /** Where the asker's own key has answered: dialling there again bothers nobody else. */
  readonly #proven = new LruMap<NodeId, string>(MAX_PROVEN);
  readonly #again: TokenBuckets;

  constructor(deps: CallBackDeps) {
    this.#deps = deps;
    this.#ration = new CheckRation(deps.clock);
    this.#again = new TokenBuckets(deps.clock, AGAIN);
  }

  /** @throws {Failure} bad-record, not-supported, too-often, busy, unreachable, wrong-key */
  async call(asker: NodeId, { record, unverified = [] }: CallBackRequest, signal: AbortSignal): Promise<CallBackReply> {
    const { id, addresses, port } = verifyRecord(record);
    if (id !== asker) throw new Failure("bad-record", "that is another node's record");
    const endpoints = [...addresses.map((host): Endpoint => ({ host, port })), ...unverified].filter((endpoint) =>
      mayDialGossiped(endpoint, this.#deps.allowed),
    );
    if (endpoints.length === 0) throw new Failure("not-supported", "you name no address that may be dialled from here");
    const proven = endpoints.filter((endpoint) => formatEndpoint(endpoint) === this.#proven.get(asker));
    const isFree = (proven.length > 0 || this.#deps.isKnown(asker)) && this.#again.take(asker);
    using _begun = isFree ? undefined : this.#begin(asker, endpoints);
    const tried = isFree && proven.length > 0 ? proven : endpoints;
    this.#proven.delete(asker);
    const { path } = await this.#deps.answerOn({ id: asker, endpoints: tried, via: [] }, signal);
    this.#proven.set(asker, path.remote);
    return { path: path.kind };
  }

  #begin(asker: NodeId, endpoints: readonly Endpoint[]): Disposable {
    const begun = new DisposableStack();
    try {
      for (const { host, port } of endpoints) begun.use(this.#ration.begin(asker, host, port));
      return begun;
    } catch (error) {
      begun.dispose();
      throw error;
    }
  }
}
