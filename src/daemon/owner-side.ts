/** What this node does for others: sandboxes on it, leases to them, and what answers guests and the owner about them. */

import { userInfo } from "node:os";
import { join } from "node:path";
import { env } from "node:process";
import type { FastifyPluginAsync } from "fastify";
import type { Scope } from "../base/index.ts";
import { toolRunner } from "../measure/index.ts";
import {
  type AskTool,
  findGpuDevices,
  LateRuntime,
  Leases,
  lookAround,
  runtimeCandidates,
  serveDoctor,
} from "../sandbox/index.ts";
import type { Parts } from "./parts.ts";
import type { TunnelKind } from "./tunnels.ts";

export interface OwnerSide {
  readonly leases: Leases;
  readonly runtime: LateRuntime;
  readonly plugins: readonly FastifyPluginAsync[];
  readonly tunnels: readonly TunnelKind[];
}

export function openOwnerSide(parts: Parts, scope: Scope): OwnerSide {
  const { identity, database, grants, network, table, lending, specs, home, clock, random } = parts;
  const log = parts.log.with({ room: "sandbox" });
  const { uid, gid, username: name } = userInfo();
  const { path, platform } = home;
  const about = { id: identity.id, home: path, platform, user: { uid, gid, name }, environment: env };
  const candidates = parts.runtimes ?? runtimeCandidates({ ...about, clock, log, wanted: parts.config.runtime });
  const runtime = scope.own(new LateRuntime({ candidates, clock, log }));
  const leases = scope.own(
    new Leases({
      id: identity.id,
      runtime,
      database,
      grantOf: (id) => grants.of(id),
      nameOf: (id) => (id === identity.id ? parts.name : (grants.nameOf(id) ?? table.nameOf(id))),
      lends: () => lending.on,
      machine: () => {
        const { cpu, memory, disk } = specs.latest();
        return { cpus: cpu.cores, memoryBytes: memory.totalBytes, diskFreeBytes: disk.freeBytes };
      },
      gpus: (signal) => findGpuDevices(askTool, signal),
      imageFolder: join(path, "images"),
      hosts: () => lending.endpoints.map(({ host }) => host),
      hangUp: () => {
        for (const { id } of grants.list()) network.hangUp(id);
      },
      stopLending: (signal) => lending.turn(false, signal),
      clock,
      random,
      log,
    }),
  );
  const { book } = leases.sandboxes;
  parts.guests.present = () => !leases.sandboxes.panicked && book.all.some(({ guest }) => guest !== identity.id);
  scope.spawn((signal) => lending.run(signal));
  const doctor = serveDoctor({
    look: () =>
      lookAround({ platform, uid: platform === "win32" ? undefined : uid, user: name, path: env["PATH"] ?? "" }),
    runtime: async () => {
      await runtime.ready();
      const { kind, version, problems } = runtime.facts;
      return runtime.found ? { kind, version, problems: [...problems] } : undefined;
    },
  });
  return { leases, runtime, plugins: [...leases.plugins, doctor], tunnels: leases.streams.tunnels };
}

const run = toolRunner();
const askTool: AskTool = async (program, args, signal) => {
  const outcome = await run(program, args, signal);
  return outcome.kind === "ran" && outcome.exit === 0 ? outcome.stdout : undefined;
};
