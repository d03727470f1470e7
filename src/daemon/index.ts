/** daemon: builds one node from its parts, and takes it down in reverse. */
export type { LendReply, Status, Why } from "./contract.ts";
export type { Daemon, Surface } from "./daemon.ts";
export type { World } from "./ground.ts";
export { runDaemon, type RunOptions } from "./run-daemon.ts";
export type { TunnelKind } from "./tunnels.ts";
