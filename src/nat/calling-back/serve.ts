/** Answers nodes that want to be dialled by this one. */

import type { FastifyPluginAsync } from "fastify";
import { admits, Failure, MAX_RECORD_BYTES } from "../../core/index.ts";
import type { CallBack } from "./call-back.ts";
import { CallBackReply, CallBackRequest } from "./contract.ts";

export function serveCallBack(callBack: Pick<CallBack, "call">): FastifyPluginAsync {
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
        return await callBack.call(caller.id, body.record, signal);
      },
    );
  };
}
