/** access: who may do what on this node: invites, grants, roles, and the one place that admits. */
export { AccessStore } from "./access-store.ts";
export {
  accessTable,
  admitConnect,
  type ConnectTarget,
  decide,
  type GuardDeps,
  guardRoutes,
  nothingHere,
  type RouteRow,
  type Rule,
} from "./admission.ts";
export * from "./contract.ts";
export { type GrantChange, Grants, type GrantsDeps } from "./grants.ts";
export { Invites, type InvitesDeps } from "./invites.ts";
export type { Befriend, Friend, JoinDeps } from "./join.ts";
export { type AccessDeps, serveAccess } from "./serve.ts";
