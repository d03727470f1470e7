/** What a relay answers: to nodes that want to be reached through it, and to its owner about it. */

import type { FastifyPluginAsync } from "fastify";
import { admits, Failure } from "../../core/index.ts";
import { RegisterReply, RegisterRequest, RelayRequest, RelayStatus } from "./contract.ts";
import type { Relay } from "./relay.ts";

export interface RelayRoutesDeps {
  readonly relay: Pick<Relay, "register" | "turn">;
  readonly status: () => RelayStatus;
}

const owner = { config: { admits: admits.owner } };

export function serveRelay({ relay, status }: RelayRoutesDeps): FastifyPluginAsync {
  return async (app) => {
    app.post(
      "/v1/relay/registrations",
      {
        config: { admits: admits.nodes },
        bodyLimit: 256,
        schema: { body: RegisterRequest, response: { 200: RegisterReply } },
      },
      ({ caller }) => {
        if (caller.kind !== "node") throw new Failure("bad-argument", "only nodes are reached through a relay");
        return { ttlMs: relay.register(caller) };
      },
    );

    app.get("/v1/relay", { ...owner, schema: { response: { 200: RelayStatus } } }, () => status());

    app.post<{ Body: RelayRequest }>(
      "/v1/relay",
      { ...owner, bodyLimit: 256, schema: { body: RelayRequest, response: { 200: RelayStatus } } },
      async ({ body: { mode } }) => {
        await relay.turn(mode);
        return status();
      },
    );
  };
}
