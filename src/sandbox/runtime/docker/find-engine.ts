/** Where an engine's socket may be, best first: what a person named, rootless ones, the system's. */

import { isAbsolute, join } from "node:path";
import { Failure } from "../../../core/index.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

/** @throws {Failure} not-supported: the engine is on another machine, whose addresses nobody here knows */
export function engineSockets(environment: Environment): readonly string[] {
  const named = environment["DOCKER_HOST"] ?? environment["CONTAINER_HOST"];
  if (named !== undefined && named !== "") return [namedSocket(named)];
  const runtime = environment["XDG_RUNTIME_DIR"];
  const home = environment["HOME"];
  return [
    ...(runtime !== undefined && isAbsolute(runtime) ? rootless(runtime) : []),
    ...(home !== undefined && isAbsolute(home) ? [join(home, ".docker/run/docker.sock")] : []),
    "/var/run/docker.sock",
    "/run/podman/podman.sock",
  ];
}

const rootless = (runtime: string) => [join(runtime, "docker.sock"), join(runtime, "podman/podman.sock")];

function namedSocket(named: string): string {
  if (named.startsWith("unix://")) return named.slice("unix://".length);
  throw new Failure(
    "not-supported",
    `DOCKER_HOST names an engine that is not on this machine: "${named.slice(0, 120)}"`,
    {
      hint: "sandboxes are made on this machine alone; unset DOCKER_HOST, or name a socket: `unix:///var/run/docker.sock`",
    },
  );
}
