/** Answers the person who invites, joins and revokes, and the nodes that redeem. */

import { TypeBoxValidatorCompiler } from "@fastify/type-provider-typebox";
import type { FastifyInstance, FastifyPluginAsync } from "fastify";
import { admits, type Caller, cleanText, Failure } from "../core/index.ts";
import {
  ChangeRequest,
  GrantParams,
  GrantRow,
  GrantsReply,
  InviteParams,
  InviteRow,
  InvitesReply,
  IssueReply,
  IssueRequest,
  JoinReply,
  JoinRequest,
  RedeemReply,
  RedeemRequest,
  RevokeReply,
} from "./contract.ts";
import type { Invites } from "./invites.ts";
import { join, type JoinDeps } from "./join.ts";
import { RedeemRation } from "./redeem-ration.ts";

export interface AccessDeps extends JoinDeps {
  readonly invites: Invites;
}

/** A grant with all its fields has some 300 bytes; a pasted invite may carry white space. */
const SMALL_BODY = 2_048;
const JOIN_BODY = 16_384;

export function serveAccess(deps: AccessDeps): FastifyPluginAsync {
  return async (app) => {
    // The default one turns `null` into 0 and drops what it does not know; a grant must be what was said.
    app.setValidatorCompiler(TypeBoxValidatorCompiler);
    serveInvites(app, deps);
    serveGrants(app, deps);
    serveRedeem(app, deps);
  };
}

function serveInvites(app: FastifyInstance, deps: AccessDeps): void {
  const config = { admits: admits.owner };
  app.post<{ Body: IssueRequest }>(
    "/v1/invites",
    { config, bodyLimit: SMALL_BODY, schema: { body: IssueRequest, response: { 200: IssueReply } } },
    (request) => deps.invites.issue(request.body),
  );
  app.get("/v1/invites", { config, schema: { response: { 200: InvitesReply } } }, () => ({
    invites: deps.invites.list(),
  }));
  app.delete<{ Params: { id: string } }>(
    "/v1/invites/:id",
    { config, schema: { params: InviteParams, response: { 200: InviteRow } } },
    (request) => deps.invites.revoke(request.params.id),
  );
  app.post<{ Body: JoinRequest }>(
    "/v1/join",
    { config, bodyLimit: JOIN_BODY, schema: { body: JoinRequest, response: { 200: JoinReply } } },
    (request) => join(deps, request.body, request.signal),
  );
}

function serveGrants(app: FastifyInstance, { grants, invites }: AccessDeps): void {
  const config = { admits: admits.owner };
  app.get("/v1/grants", { config, schema: { response: { 200: GrantsReply } } }, () => ({ grants: grants.list() }));
  app.patch<{ Params: { node: string }; Body: ChangeRequest }>(
    "/v1/grants/:node",
    {
      config,
      bodyLimit: SMALL_BODY,
      schema: { params: GrantParams, body: ChangeRequest, response: { 200: GrantRow } },
    },
    (request) => grants.change(request.params.node, request.body),
  );
  app.delete<{ Params: { node: string } }>(
    "/v1/grants/:node",
    { config, schema: { params: GrantParams, response: { 200: RevokeReply } } },
    (request): RevokeReply => {
      const { id, name, invite } = grants.revoke(request.params.node);
      return { id, name, ...(invite !== undefined && invites.isOpen(invite) ? { openInvite: invite } : {}) };
    },
  );
}

function serveRedeem(app: FastifyInstance, { invites, befriend, name, clock, log }: AccessDeps): void {
  const ration = new RedeemRation(clock);
  app.post<{ Body: RedeemRequest }>(
    "/v1/redeem",
    {
      config: { admits: admits.nodes },
      bodyLimit: SMALL_BODY,
      schema: { body: RedeemRequest, response: { 200: RedeemReply } },
    },
    (request): RedeemReply => {
      const caller = nodeOnly(request.caller);
      const guest = { id: caller.id, name: cleanText(request.body.name ?? "", 32) };
      const grant = invites.redeem(request.body.token, guest);
      if (grant === undefined) {
        ration.take(caller); // after the look: wrong ones of others keep no right one out
        log.info("a wrong invite was shown", { node: caller.id, remote: caller.remote });
        throw new Failure("invite-refused", "the invite is refused: this node does not know it", {
          hint: "ask the owner of that node for a new one",
        });
      }
      // Another machine of the same person is listed here as one, and is a friend in every exchange.
      if (grant.kind === "own") befriend({ ...guest, relation: "own", endpoints: [] });
      return { grant, name: name() };
    },
  );
}

function nodeOnly(caller: Caller): Extract<Caller, { readonly kind: "node" }> {
  if (caller.kind === "node") return caller;
  throw new Failure("not-allowed", "only a node can redeem an invite", { hint: "use `p2prc join`" });
}
