/**
 * The whole node, built in the order of the floor plan and taken down in reverse.
 * What its parts are given is in `parts.ts`; here they start to answer and to work.
 */

import { type RouteRow, serveAccess } from "../access/index.ts";
import { Scope } from "../base/index.ts";
import { type Caller, Failure } from "../core/index.ts";
import { serveMeasure } from "../measure/index.ts";
import { CallBack, serveCallBack, serveReach } from "../nat/index.ts";
import type { Punch, RawRequest } from "../network/index.ts";
import { openToken } from "../store/index.ts";
import { serveTable } from "../table/index.ts";
import { buildApp, handlerOf } from "./app.ts";
import type { NodeDescription } from "./contract.ts";
import { openGround, type World } from "./ground.ts";
import { type GuestSide, openGuestSide } from "./guest-side.ts";
import { isLocal, LocalServer } from "./local-server.ts";
import { Metrics } from "./metrics.ts";
import { openOwnerSide, type OwnerSide } from "./owner-side.ts";
import { buildParts, type Parts } from "./parts.ts";
import { openPunching, withPunching } from "./punching.ts";
import { openRelaying, type Relaying } from "./relaying.ts";
import { reachOf } from "./reaching.ts";
import { serveDaemon } from "./serve.ts";
import { countsOf, statusOf } from "./status.ts";
import { tunnelOpener } from "./tunnels.ts";
import { PROTOCOLS } from "./versions.ts";

/** What others may ask of this node as it stands: for the test that holds it against the promise. */
export interface Surface {
  readonly routes: readonly RouteRow[];
  readonly tunnels: NonNullable<World["tunnels"]>;
}

export class Daemon implements AsyncDisposable {
  readonly #scope: Scope;
  readonly parts: Parts;
  readonly surface: Surface;

  /** @throws {Failure} home-in-use, home-unusable, disk-full, bad-config; where it lends from the start: port-in-use, bad-address */
  static async open(world: World, signal: AbortSignal): Promise<Daemon> {
    const scope = new Scope();
    try {
      const parts = buildParts(await openGround(world, scope), scope);
      const guest = openGuestSide(parts, scope);
      const owner = openOwnerSide(parts, scope);
      const { punch, foundByKey } = openPunching(parts, scope);
      const relaying = openRelaying(parts, foundByKey, scope);
      const surface = await answer({ parts, guest, owner, relaying, punch }, scope, signal);
      connect(parts, scope);
      run(parts, scope);
      scope.spawn((ending) => guest.run(ending));
      scope.spawn((ending) => owner.leases.run(ending));
      scope.spawn((ending) => relaying.keeper.run(ending));
      scope.spawn((ending) => punch.run(ending));
      if (world.config.lends === true && !owner.leases.sandboxes.panicked) await parts.lending.turn(true, signal);
      parts.log.info("the daemon is up", { id: parts.identity.id, name: parts.name, pid: world.pid });
      return new Daemon(scope, parts, surface);
    } catch (error) {
      await scope.close();
      throw error;
    }
  }

  private constructor(scope: Scope, parts: Parts, surface: Surface) {
    this.#scope = scope;
    this.parts = parts;
    this.surface = surface;
  }

  /** Aborts when a part has failed: closing then tells with what. */
  get failed(): AbortSignal {
    return this.#scope.signal;
  }

  /** Rejects with what a part failed with. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#scope.close();
  }
}

interface Sides {
  readonly parts: Parts;
  readonly guest: GuestSide;
  readonly owner: OwnerSide;
  readonly relaying: Relaying;
  readonly punch: Punch;
}

/** From here on requests are answered, on every carrier and on the local socket. */
async function answer(
  { parts, guest, owner, relaying, punch }: Sides,
  scope: Scope,
  signal: AbortSignal,
): Promise<Surface> {
  const { answering, grants, log, home, random } = parts;
  const callerOf = (request: RawRequest): Caller =>
    isLocal(request) ? { kind: "local" } : answering.callerOf(request);
  const metrics = new Metrics(() => gauges({ parts, relaying, punch }));
  const { app, routes } = await buildApp({
    log,
    metrics,
    guard: { callerOf: ({ raw }) => callerOf(raw), roleOf: (caller) => grants.roleOf(caller) },
    plugins: [
      ...pluginsOf({ parts, owner, relaying, punch }, metrics),
      ...guest.plugins,
      ...owner.plugins,
      ...relaying.plugins,
    ],
  });
  scope.defer(() => app.close());
  const handler = handlerOf(app);
  const tunnels = [...guest.tunnels, ...owner.tunnels, ...relaying.tunnels, ...(parts.tunnels ?? [])];
  const opener = tunnelOpener({ kinds: tunnels, roleOf: (caller) => grants.roleOf(caller), log });
  answering.attach(handler, opener);
  const token = home.platform === "win32" ? await openToken(home, random) : undefined;
  scope.own(await LocalServer.open({ requests: handler, tunnels: opener }, { home, token }, signal));
  return { routes, tunnels };
}

function pluginsOf({ parts, owner, relaying, punch }: Omit<Sides, "guest">, metrics: Metrics) {
  const { table, network, allowed, clock, log } = parts;
  return [
    pluginOfDaemon({ parts, owner, relaying }, metrics),
    serveTable({ table, clock, log: log.with({ room: "table" }) }),
    pluginOfMeasure(parts),
    pluginOfAccess(parts, relaying),
    serveReach({ dialBack: parts.dialBack, show: () => withPunching(reachOf(parts), punch.state) }),
    serveCallBack({
      callBack: new CallBack({
        isKnown: parts.isKnown,
        answerOn: (...all) => network.answerOn(...all),
        allowed,
        clock,
      }),
      unverified: parts.unverified,
      clock,
    }),
  ];
}

function pluginOfDaemon({ parts, owner, relaying }: Omit<Sides, "guest" | "punch">, metrics: Metrics) {
  const { leases, runtime } = owner;
  const { network, table, lending, logFile, stop, own, twins, identity } = parts;
  const describe = (): NodeDescription => {
    const { record, signed } = own.latest;
    return { record: signed, version: record.version, protocol: [...PROTOCOLS], boot: record.boot };
  };
  return serveDaemon({
    describe,
    met: ({ id, remote }, boot) => void (id === identity.id && twins.met({ boot, remote })),
    status: () => statusOf(parts, { runtime, panicked: leases.sandboxes.panicked, relay: relaying.status() }),
    lend: async (on, signal) => {
      if (on && leases.sandboxes.panicked)
        throw new Failure("conflict", "everything was stopped with `p2prc panic`", {
          hint: "run `p2prc panic --off` first",
        });
      await lending.turn(on, signal);
      return lending.on;
    },
    stop,
    log: logFile,
    metrics,
    resolve: (text) => table.resolve(text),
    why: {
      attempts: (id) => network.attempts(id),
      hindrances: (target) => network.hindrances(target),
      path: (id) => network.existing(id)?.path,
      isUdpBlocked: (id) => table.nodes.get(id)?.record?.nat === "blocked",
      nameOf: (id) => table.nameOf(id),
    },
  });
}

function pluginOfMeasure({ network, table, specs, speedTests, clock, log }: Parts) {
  return serveMeasure({
    resolve: (text) => table.resolve(text),
    reach: network,
    nameOf: (id) => table.nameOf(id),
    specs,
    speedTests,
    noteRoundTrip: (id, { medianMs, jitterMs }) => table.note(id, { rttMs: medianMs, jitterMs }),
    isFriend: (id) => table.relationOf(id) !== undefined,
    note: (id, { at, ...speed }) => table.note(id, { ...speed, speedAt: at }),
    clock,
    log,
  });
}

function pluginOfAccess({ identity, name, network, table, grants, invites, clock, log }: Parts, relaying: Relaying) {
  return serveAccess({
    id: identity.id,
    name: () => name,
    reach: network,
    befriend: (friend) => {
      const name = table.befriend(friend);
      relaying.keeper.look(); // it may be the relay that this node waits for
      return { name };
    },
    relaysAre: relaying.relaysAre,
    grants,
    invites,
    clock,
    log: log.with({ room: "access" }),
  });
}

/** What one part must hear from another. */
function connect({ table, twins, own, specs, grants, network }: Parts, scope: Scope): void {
  const subscriptions = [
    table.nodes.echoes.on((record) => twins.heard(record)),
    specs.changes.on((resources) => own.update({ resources })),
    network.changes.on(({ link: { peer } }) => {
      const path = network.existing(peer)?.path;
      if (path !== undefined) table.nodes.reachedBy(peer, path.kind);
    }),
    grants.changes.on((change) => {
      if (change.kind === "ended") network.hangUp(change.id);
    }),
  ];
  for (const subscription of subscriptions) scope.defer(() => subscription[Symbol.dispose]());
}

/** The work that goes on until the daemon ends. */
function run({ addresses, own, table, specs, rounds, grants }: Parts, scope: Scope): void {
  for (const part of [addresses, own, table, specs, rounds, grants]) scope.spawn((signal) => part.run(signal));
}

function gauges({ parts, relaying, punch }: Pick<Sides, "parts" | "relaying" | "punch">) {
  const { network, answering, lending, grants, table } = parts;
  const links: Record<string, number> = {};
  for (const { path } of network.links) links[path.kind] = (links[path.kind] ?? 0) + 1;
  return {
    links,
    callers: answering.callers.length,
    nodes: countsOf(parts),
    lends: lending.on,
    guests: grants.list().filter(({ ended }) => !ended).length,
    junkRecords: table.counts.bad,
    relay: relaying.status(),
    punch: punch.state,
  };
}
