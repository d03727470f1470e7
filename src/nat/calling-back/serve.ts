/** Answers nodes that want to be dialled by this one, or to dial it. */

import type { FastifyPluginAsync } from "fastify";
import { type Clock, TokenBuckets } from "../../base/index.ts";
import { admits, type Endpoint, Failure, MAX_RECORD_BYTES } from "../../core/index.ts";
import type { CallBack } from "./call-back.ts";
import { CallBackReply, CallBackRequest, UnverifiedReply } from "./contract.ts";

export interface CallBackRoutesDeps {
  readonly callBack: Pick<CallBack, "call">;
  /** Where this node may be dialled, though too few nodes got in to say so in its record. */
  readonly unverified: () => readonly Endpoint[];
  readonly clock: Clock;
}

/** Of one asker: who looks for a better path asks once each time, ever more seldom. */
const PER_ASKER = { burst: 16, everyMs: 5_000, maxKeys: 1_024 };

export function serveCallBack({ callBack, unverified, clock }: CallBackRoutesDeps): FastifyPluginAsync {
  const asked = new TokenBuckets(clock, PER_ASKER);
  return async (app) => {
    app.post<{ Body: CallBackRequest }>(
      "/v1/reach/back",
      {
        config: { admits: admits.nodes },
        bodyLimit: 2 * MAX_RECORD_BYTES,
        schema: { body: CallBackRequest, response: { 200: CallBackReply } },
      },
      async ({ caller, body, signal }) => {
        if (caller.kind !== "node") throw new Failure("not-supported", "only a node can be dialled back");
        return await callBack.call(caller.id, body, signal);
      },
    );

    app.get(
      "/v1/reach/unverified",
      { config: { admits: admits.nodes }, schema: { response: { 200: UnverifiedReply } } },
      async ({ caller }): Promise<UnverifiedReply> => {
        if (caller.kind === "node" && !asked.take(caller.id))
          throw new Failure("too-often", "this node has told you often enough for now");
        return { places: unverified().map(({ host, port }) => ({ host, port })) };
      },
    );
  };
}
