/** The calls about groups of sandboxes. `group` is what a person types: a name, an id, the start of either. */

import type { Group, GroupRequest, GroupsReply, GroupTunnel, TunnelPorts } from "../sandbox/index.ts";
import { askJson } from "./exchange.ts";
import type { Exchange, Transport } from "./transport.ts";

export interface GroupCalls {
  groups(signal: AbortSignal): Promise<GroupsReply>;
  /** exact: a whole name or id only, as where a sandbox may be meant as well. */
  group(group: string, options: { readonly exact: boolean }, signal: AbortSignal): Promise<Group>;
  createGroup(request: GroupRequest, signal: AbortSignal): Promise<Group>;
  addToGroup(group: string, boxes: readonly string[], signal: AbortSignal): Promise<Group>;
  /** Also one that has ended. */
  takeFromGroup(group: string, box: string, signal: AbortSignal): Promise<Group>;
  /** Its sandboxes live on. */
  removeGroup(group: string, signal: AbortSignal): Promise<Group>;
  groupTunnel(group: string, signal: AbortSignal): Promise<GroupTunnel>;
  /** Adds to what is carried. */
  openGroupTunnel(group: string, ports: readonly TunnelPorts[], signal: AbortSignal): Promise<GroupTunnel>;
  /** What it was. */
  stopGroupTunnel(group: string, signal: AbortSignal): Promise<GroupTunnel>;
}

export function groupCalls(transport: Transport): GroupCalls {
  const json = <T>(exchange: Exchange, signal: AbortSignal) => askJson<T>(transport, exchange, signal);
  return {
    groups: (signal) => json({ method: "GET", path: "/v1/groups" }, signal),
    group: (group, { exact }, signal) =>
      json({ method: "GET", path: `${groupPath(group)}${exact ? "?exact=true" : ""}` }, signal),
    createGroup: (body, signal) => json({ method: "POST", path: "/v1/groups", body }, signal),
    addToGroup: (group, boxes, signal) =>
      json({ method: "POST", path: `${groupPath(group)}/members`, body: { boxes } }, signal),
    takeFromGroup: (group, box, signal) =>
      json({ method: "DELETE", path: `${groupPath(group)}/members/${encodeURIComponent(box)}` }, signal),
    removeGroup: (group, signal) => json({ method: "DELETE", path: groupPath(group) }, signal),
    groupTunnel: (group, signal) => json({ method: "GET", path: `${groupPath(group)}/tunnel` }, signal),
    openGroupTunnel: (group, ports, signal) =>
      json({ method: "POST", path: `${groupPath(group)}/tunnel`, body: { ports } }, signal),
    stopGroupTunnel: (group, signal) => json({ method: "DELETE", path: `${groupPath(group)}/tunnel` }, signal),
  };
}

function groupPath(group: string): string {
  return `/v1/groups/${encodeURIComponent(group)}`;
}
