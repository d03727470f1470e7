/** Answers the person about their groups. */

import { TypeBoxValidatorCompiler } from "@fastify/type-provider-typebox";
import type { FastifyInstance, FastifyPluginAsync } from "fastify";
import { admits } from "../../core/index.ts";
import { Group, GroupParams, GroupQuery, GroupRequest, GroupsReply, MemberParams, MembersRequest } from "./contract.ts";
import type { GroupTunnels } from "./group-tunnels.ts";
import type { Groups } from "./groups.ts";
import { GroupTunnel, TunnelRequest } from "./tunnel-contract.ts";

const config = { admits: admits.owner };
/** A thousand names of 128 characters. */
const BODY = 160 * 1_024;
const response = { 200: Group };

export interface GroupRoutesDeps {
  readonly groups: Groups;
  readonly tunnels: Pick<GroupTunnels, "open" | "show" | "stop">;
}

export function serveGroups({ groups, tunnels }: GroupRoutesDeps): FastifyPluginAsync {
  return async (app) => {
    // With the compiler that makes values of a query's words.
    app.get<{ Params: GroupParams; Querystring: GroupQuery }>(
      "/v1/groups/:group",
      { config, schema: { params: GroupParams, querystring: GroupQuery, response } },
      (request) => groups.show(request.params.group, request.query),
    );
    await app.register(async (strict) => {
      strict.setValidatorCompiler(TypeBoxValidatorCompiler);
      strict.get("/v1/groups", { config, schema: { response: { 200: GroupsReply } } }, () => ({
        groups: [...groups.list()],
      }));
      strict.post<{ Body: GroupRequest }>(
        "/v1/groups",
        { config, bodyLimit: BODY, schema: { body: GroupRequest, response } },
        (request) => groups.create(request.body),
      );
      strict.delete<{ Params: GroupParams }>(
        "/v1/groups/:group",
        { config, schema: { params: GroupParams, response } },
        (request) => groups.delete(request.params.group),
      );
      strict.post<{ Params: GroupParams; Body: MembersRequest }>(
        "/v1/groups/:group/members",
        { config, bodyLimit: BODY, schema: { params: GroupParams, body: MembersRequest, response } },
        (request) => groups.add(request.params.group, request.body.boxes),
      );
      strict.delete<{ Params: MemberParams }>(
        "/v1/groups/:group/members/:box",
        { config, schema: { params: MemberParams, response } },
        (request) => groups.remove(request.params.group, request.params.box),
      );
      serveTunnels(strict, tunnels);
    });
  };
}

function serveTunnels(app: FastifyInstance, tunnels: GroupRoutesDeps["tunnels"]): void {
  const shown = { params: GroupParams, response: { 200: GroupTunnel } };
  app.get<{ Params: GroupParams }>("/v1/groups/:group/tunnel", { config, schema: shown }, (request) =>
    tunnels.show(request.params.group),
  );
  app.delete<{ Params: GroupParams }>("/v1/groups/:group/tunnel", { config, schema: shown }, (request) =>
    tunnels.stop(request.params.group),
  );
  app.post<{ Params: GroupParams; Body: TunnelRequest }>(
    "/v1/groups/:group/tunnel",
    { config, bodyLimit: BODY, schema: { ...shown, body: TunnelRequest } },
    (request) => tunnels.open(request.params.group, request.body.ports, request.signal),
  );
}
