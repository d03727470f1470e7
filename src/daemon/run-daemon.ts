/**
 * A daemon as a process sees it: reads what was chosen, opens the node, and stays until it is told to end.
 */

import { tmpdir } from "node:os";
import { parseArgs } from "node:util";
import { Scope, systemClock, systemRandom } from "../base/index.ts";
import { type Config, readConfig } from "../config/index.ts";
import { Failure } from "../core/index.ts";
import { openHome } from "../store/index.ts";
import { Daemon } from "./daemon.ts";
import type { World } from "./ground.ts";
import { LogFile } from "./log-file.ts";
import { pinoLog } from "./pino-log.ts";

export interface RunOptions {
  readonly home: string;
  /** What else was typed: `--name`, `--port`, … */
  readonly flags: readonly string[];
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly platform: NodeJS.Platform;
  readonly uid: number | undefined;
  readonly pid: number;
  /** Called once it answers. */
  readonly onReady?: (daemon: Daemon) => Promise<void> | void;
  readonly tunnels?: World["tunnels"];
}

/**
 * Runs until `signal` aborts, or the person says `p2prc stop`.
 * @throws {Failure} what opening it throws
 */
export async function runDaemon(options: RunOptions, signal: AbortSignal): Promise<void> {
  const { environment, platform, uid, pid } = options;
  const flags = parseFlags(options.flags);
  const home = await openHome(options.home, {
    platform,
    uid,
    runtimeFolder: environment["XDG_RUNTIME_DIR"],
    tempFolder: tmpdir(),
  });
  const config = await readConfig({ flags, environment, file: home.config });
  await using scope = new Scope(signal);
  const asked = Promise.withResolvers<void>();
  const logFile = new LogFile(home.log);
  scope.defer(() => logFile[Symbol.dispose]());
  const log = pinoLog(logFile, environment["P2PRC_DEBUG"] === undefined ? "info" : "debug");
  const world: World = {
    home,
    config,
    pid,
    clock: systemClock,
    random: systemRandom,
    log,
    logFile,
    stop: asked.resolve,
    ...(options.tunnels === undefined ? {} : { tunnels: options.tunnels }),
  };
  const daemon = scope.own(await Daemon.open(world, signal));
  for (const ending of [signal, daemon.failed]) {
    if (ending.aborted) asked.resolve();
    else ending.addEventListener("abort", () => asked.resolve(), { once: true });
  }
  await options.onReady?.(daemon);
  await asked.promise;
  log.info("the daemon ends");
}

/** @throws {Failure} bad-argument */
function parseFlags(args: readonly string[]) {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        name: { type: "string" },
        port: { type: "string" },
        listen: { type: "string", multiple: true },
        "allow-network": { type: "string", multiple: true },
        "no-lan": { type: "boolean" },
        "no-map": { type: "boolean" },
        "no-punch": { type: "boolean" },
        lends: { type: "boolean" },
        info: { type: "string" },
        label: { type: "string", multiple: true },
        runtime: { type: "string" },
        relay: { type: "string" },
      },
    });
    const { name, port, listen, lends, info, label: labels, runtime, relay } = values;
    return {
      name,
      port: port === undefined ? undefined : Number(port),
      listen,
      allowNetworks: values["allow-network"],
      lan: values["no-lan"] === true ? false : undefined,
      map: values["no-map"] === true ? false : undefined,
      punch: values["no-punch"] === true ? false : undefined,
      networkSecret: undefined, // others could read it there
      lends,
      info,
      labels,
      runtime: runtime as Config["runtime"], // whether it is one is for the check
      relay: relay as Config["relay"],
    };
  } catch (cause) {
    throw new Failure(
      "bad-argument",
      `the daemon was started with words it does not know: ${(cause as Error).message}`,
      { cause },
    );
  }
}
