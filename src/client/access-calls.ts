/** The calls about invites and grants. */

import type {
  ChangeRequest,
  GrantRow,
  GrantsReply,
  InviteRow,
  InvitesReply,
  IssueReply,
  IssueRequest,
  JoinReply,
  JoinRequest,
  RevokeReply,
} from "../access/index.ts";
import { askJson } from "./exchange.ts";
import type { Exchange, Transport } from "./transport.ts";

export interface AccessCalls {
  /** Makes an invite. Its link is shown this once. */
  invite(request: IssueRequest, signal: AbortSignal): Promise<IssueReply>;
  invites(signal: AbortSignal): Promise<InvitesReply>;
  /** Takes an invite back; grants that came of it stay. */
  withdraw(invite: string, signal: AbortSignal): Promise<InviteRow>;
  join(request: JoinRequest, signal: AbortSignal): Promise<JoinReply>;
  grants(signal: AbortSignal): Promise<GrantsReply>;
  changeGrant(node: string, change: ChangeRequest, signal: AbortSignal): Promise<GrantRow>;
  revoke(node: string, signal: AbortSignal): Promise<RevokeReply>;
}

export function accessCalls(transport: Transport): AccessCalls {
  const json = <T>(exchange: Exchange, signal: AbortSignal) => askJson<T>(transport, exchange, signal);
  return {
    invite: (body, signal) => json({ method: "POST", path: "/v1/invites", body }, signal),
    invites: (signal) => json({ method: "GET", path: "/v1/invites" }, signal),
    withdraw: (invite, signal) => json({ method: "DELETE", path: `/v1/invites/${encodeURIComponent(invite)}` }, signal),
    join: (body, signal) => json({ method: "POST", path: "/v1/join", body }, signal),
    grants: (signal) => json({ method: "GET", path: "/v1/grants" }, signal),
    changeGrant: (node, body, signal) =>
      json({ method: "PATCH", path: `/v1/grants/${encodeURIComponent(node)}`, body }, signal),
    revoke: (node, signal) => json({ method: "DELETE", path: `/v1/grants/${encodeURIComponent(node)}` }, signal),
  };
}
