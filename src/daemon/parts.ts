/** The parts of a node and what each is given: all wires between rooms are here. */

import { AccessStore, Grants, Invites } from "../access/index.ts";
import type { Scope } from "../base/index.ts";
import { type Endpoint, type Grant, isNearby, mayDialGossiped, type NodeId, VERSION } from "../core/index.ts";
import {
  findSystemGpus,
  MeasureRounds,
  measureRoundTrip,
  SpecSheet,
  SpeedTests,
  toolRunner,
} from "../measure/index.ts";
import { askCallBack, Unverified } from "../nat/index.ts";
import { Answering, Network, TcpCarrier } from "../network/index.ts";
import { IpTable, openMulticast } from "../table/index.ts";
import { askDescription } from "./ask.ts";
import type { Ground } from "./ground.ts";
import { Lending } from "./lending.ts";
import { OwnRecord } from "./own-record.ts";
import { openReaching, type Reached } from "./reaching.ts";
import { Twins } from "./twins.ts";
import { Whereabouts } from "./whereabouts.ts";

interface Self {
  readonly own: OwnRecord;
  readonly twins: Twins;
  readonly specs: SpecSheet;
}

interface Reaching {
  readonly carrier: TcpCarrier;
  readonly answering: Answering;
  readonly network: Network;
  readonly lending: Lending;
  readonly whereabouts: Whereabouts;
}

interface Knowing {
  readonly table: IpTable;
  readonly grants: Grants;
  readonly invites: Invites;
  /** Own nodes, friends and guests. */
  readonly isKnown: (id: NodeId) => boolean;
}

interface Measuring {
  readonly speedTests: SpeedTests;
  readonly rounds: MeasureRounds;
}

export type Parts = Ground & Self & Reaching & Knowing & Measuring & Reached & { readonly guests: Guests };

/** Whom this node knows: asked by those who are built before the answer is. */
interface Acquaintance {
  isKnown(id: NodeId): boolean;
  lendingChanged(change: { readonly moved: boolean }): void;
  unverified(): readonly Endpoint[];
}

/** Filled in by the owner's side, which is built later. */
export interface Guests {
  /** Whether others have sandboxes here. */
  present: () => boolean;
}

export function buildParts(ground: Ground, scope: Scope): Parts {
  const acquaintance: Acquaintance = { isKnown: () => false, lendingChanged: () => {}, unverified: () => [] };
  const guests: Guests = { present: () => false };
  const self = describeSelf(ground);
  const reaching = openReach({ ...ground, ...self, acquaintance, guests }, scope);
  const knowing = openKnowing({ ...ground, ...self, ...reaching }, scope);
  acquaintance.isKnown = knowing.isKnown;
  const measuring = openMeasuring({ ...ground, ...reaching, ...knowing });
  const known = { ...ground, ...self, ...reaching, ...knowing, ...measuring };
  const reached = openReaching(known, scope);
  acquaintance.lendingChanged = (change) => reached.lendingChanged(change);
  acquaintance.unverified = reached.unverified;
  return { ...known, ...reached, guests };
}

function describeSelf({ clock, log, home, identity, boot, database, name, config }: Ground): Self {
  const specs = new SpecSheet({
    clock,
    log: log.with({ room: "measure" }),
    run: toolRunner(),
    findOther: findSystemGpus,
    home: home.path,
    sysfs: home.platform === "linux" ? "/sys/class/drm" : undefined,
  });
  const own = new OwnRecord(
    { key: identity.key, boot, database, clock, log },
    {
      id: identity.id,
      name,
      addresses: [],
      port: 0,
      udpPort: 0,
      nat: "unknown",
      via: [],
      labels: [...(config.labels ?? [])],
      resources: specs.toResources(),
      version: VERSION,
      info: config.info ?? "",
      lends: false,
    },
  );
  return { specs, own, twins: new Twins({ boot, outdo: (seq) => own.outdo(seq), log }) };
}

function openReach(
  {
    identity,
    clock,
    log,
    allowed,
    config,
    addresses,
    own,
    twins,
    boot,
    acquaintance,
    guests,
  }: Ground & Self & { readonly acquaintance: Acquaintance; readonly guests: Guests },
  scope: Scope,
): Reaching {
  const isTrusted = (address: string) => isNearby(address, allowed);
  const isKnown = (id: NodeId) => acquaintance.isKnown(id);
  const answering = scope.own(new Answering(clock, { isKnown }));
  const onDefect = (error: unknown) => log.error("taking somebody in failed", { error });
  const carrier = new TcpCarrier({ identity, clock, isTrusted, onDefect });
  const unverified = new Unverified({ allowed, clock });
  const network = scope.own(
    new Network({
      id: identity.id,
      carrier,
      answering,
      clock,
      log: log.with({ room: "network" }),
      isTrusted,
      isKnown,
      isTwin: async (link, signal) => {
        const { boot: theirs } = await askDescription(link, boot, signal);
        return twins.met({ boot: theirs, remote: link.path.remote });
      },
      askBack: async (link, signal) => {
        const { record, signed } = own.latest;
        const besides = acquaintance.unverified();
        // As far as is known: one that nobody has verified yet is worth a try of the other end.
        if (record.lends && record.addresses.length + besides.length > 0)
          await askCallBack(link, { record: signed, unverified: besides, clock }, signal);
      },
      askUnverified: (link, known, signal) => unverified.ask(link, known, signal),
    }),
  );
  const lending = scope.own(
    new Lending(
      {
        listen: (options, signal) => network.listen(options, signal),
        changed: (change) => acquaintance.lendingChanged(change),
        needed: () => guests.present(),
        clock,
        log,
      },
      { port: config.port, hosts: config.listen },
    ),
  );
  const whereabouts = new Whereabouts(lending, addresses);
  return { carrier, answering, network, lending, whereabouts };
}

function openKnowing(deps: Ground & Self & Reaching, scope: Scope): Knowing {
  const { identity, clock, random, log, allowed, database, home, own, network, lending, whereabouts, config } = deps;
  const { id } = identity;
  const store = new AccessStore(database);
  const access = log.with({ room: "access" });
  const grants: Grants = new Grants({
    store,
    nameOf: (node) => (table.nodes.get(node) === undefined ? undefined : table.nameOf(node)),
    clock,
    log: access,
  });
  const table = scope.own(
    IpTable.open({
      id,
      // Who does not listen is in nobody's table.
      self: () => (lending.listening ? own.latest : undefined),
      reach: network,
      identify: (endpoint, signal) => network.identify(endpoint, signal),
      ping: async (link, signal) => {
        const { medianMs, jitterMs } = await measureRoundTrip(link, { clock }, signal);
        return { rttMs: medianMs, jitterMs };
      },
      grantOf: (node) => shownGrant(grants.of(node)),
      allowed,
      database,
      ...(config.lan === false ? {} : { lan: openLan(deps) }),
      filePath: home.ipTable,
      clock,
      random,
      log: log.with({ room: "table" }),
    }),
  );
  const invites = new Invites({
    id,
    whereabouts: () => {
      const { record } = own.latest;
      return { endpoints: whereabouts.inInvite(record), ...relaysInInvite(record.via, { table, allowed }) };
    },
    store,
    grants,
    clock,
    random,
    log: access,
  });
  const isKnown = (id: NodeId) => table.relationOf(id) !== undefined || grants.of(id) !== undefined;
  return { table, grants, invites, isKnown };
}

/** The QR code of an invite must fit a terminal of 80 columns. */
const MAX_RELAYS_IN_INVITE = 2;

/** Whoever is invited may know nobody yet: those relays first of which it can be said where they are. */
function relaysInInvite(
  via: readonly NodeId[],
  { table, allowed }: { readonly table: IpTable } & Pick<Ground, "allowed">,
) {
  const where = via.map((id) => ({
    id,
    endpoint: table.dialable(id)?.endpoints.find((endpoint) => mayDialGossiped(endpoint, allowed)),
  }));
  const inOrder = where
    .toSorted((a, b) => Number(a.endpoint === undefined) - Number(b.endpoint === undefined))
    .slice(0, MAX_RELAYS_IN_INVITE);
  return { via: inOrder.map(({ id }) => id), relays: inOrder.flatMap(({ endpoint }) => endpoint ?? []) };
}

function openLan({ log, whereabouts, addresses, config }: Ground & Reaching) {
  return {
    open: (signal: AbortSignal) => openMulticast(log.with({ room: "lan" }), { preferred: config.listen ?? [] }, signal),
    listensAt: (address: string) => whereabouts.listensAt(address),
    port: () => whereabouts.port,
    onMove: (listener: () => void) => addresses.moves.on(listener),
  };
}

function openMeasuring({ clock, random, log, network, table }: Ground & Reaching & Knowing): Measuring {
  const note = table.note.bind(table);
  // Only links that are there anyway are measured in the background.
  const linked = () =>
    network.links.map(({ peer: id }) => ({
      id,
      joined: table.relationOf(id) !== undefined,
      speedAt: table.nodes.get(id)?.measures?.speedAt,
    }));
  const speedTests = new SpeedTests({ clock, note: (id, { at, ...speed }) => note(id, { ...speed, speedAt: at }) });
  const rounds = new MeasureRounds({
    nodes: linked,
    existing: (id) => network.existing(id),
    note: (id, { medianMs, jitterMs }) => note(id, { rttMs: medianMs, jitterMs }),
    speedTests,
    clock,
    random,
    log: log.with({ room: "measure" }),
  });
  return { speedTests, rounds };
}

function shownGrant(grant: Grant | undefined): { readonly expires?: string } | undefined {
  if (grant === undefined) return undefined;
  return grant.until === undefined ? {} : { expires: new Date(grant.until).toISOString() };
}
