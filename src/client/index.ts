/** client: the daemon of a home as typed functions over its local REST API; also what the package exports. */
export type { Client } from "./client.ts";
export { clientOver } from "./client.ts";
export type { Exec } from "./exec.ts";
export type { Step } from "./exchange.ts";
export { Failure, type FailureCode } from "../core/light.ts";
export {
  connect,
  openClient,
  type OpenClientOptions,
  openDaemon,
  type Opened,
  stopDaemon,
} from "./open-client.ts";
export type { DaemonProgram } from "./start-daemon.ts";
export type { Exchange, Reply, Transport } from "./transport.ts";
