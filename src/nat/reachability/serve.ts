/** Answers nodes that want to know whether they can be reached, and the person who asks the same of this one. */

import type { FastifyPluginAsync } from "fastify";
import { admits, Failure } from "../../core/index.ts";
import { CheckReply, CheckRequest, ReachReply } from "./contract.ts";
import type { DialBack } from "./dial-back.ts";

export interface ReachRoutesDeps {
  readonly dialBack: Pick<DialBack, "check">;
  readonly show: () => ReachReply;
}

export function serveReach({ dialBack, show }: ReachRoutesDeps): FastifyPluginAsync {
  return async (app) => {
    app.post<{ Body: CheckRequest }>(
      "/v1/reach/check",
      {
        config: { admits: admits.nodes },
        bodyLimit: 256,
        schema: { body: CheckRequest, response: { 200: CheckReply } },
      },
      async ({ caller, body, signal }) => {
        if (caller.kind !== "node") throw new Failure("not-supported", "only a node can be dialled back");
        return await dialBack.check(caller, body, signal);
      },
    );

    app.get("/v1/reach", { config: { admits: admits.owner }, schema: { response: { 200: ReachReply } } }, () => show());
  };
}
