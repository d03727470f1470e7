/**
 * Many nodes in one process, each with an address, a key, a table and a server of its own, made of what the
 * product answers with: its carrier, its guard, its table. They answer and do nothing else.
 *
 * Of the dead ones half refuse (nobody listens at an address that is here), half are silent (the address is nowhere).
 */

import { randomBytes } from "node:crypto";
import Fastify from "fastify";
import { guardRoutes } from "../../src/access/index.ts";
import { seededRandom, shuffled, silentLog, systemClock } from "../../src/base/index.ts";
import {
  admits,
  type Endpoint,
  Failure,
  formatEndpoint,
  noNetworks,
  type NodeRecord,
  type SignedRecord,
  signRecord,
  VERSION,
} from "../../src/core/index.ts";
import { Answering, identityFromSeed, TcpCarrier } from "../../src/network/index.ts";
import { openDatabase } from "../../src/store/index.ts";
import { IpTable, serveTable } from "../../src/table/index.ts";
import { act } from "../support/actor.ts";

export interface VillagePlan {
  readonly nodes: number;
  /** Of them, those that do not answer any more: the others still tell of them. */
  readonly dead: number;
  /** How many others each knows. 0: only the next one, as in a chain. */
  readonly acquaintances: number;
}

interface House {
  readonly endpoint: Endpoint;
  readonly record: NodeRecord;
  readonly signed: SignedRecord;
  readonly table: IpTable;
}

const PORT = 8088;
/** 20.0.0.0/6 is this machine's own in the lab, 40.0.0.0/6 nobody's. Each node has a /16, as strangers have. */
const HERE = 20;
const NOWHERE = 40;

const never = new AbortController().signal;
const random = seededRandom(1);
const houses: House[] = [];
let plan: VillagePlan = { nodes: 0, dead: 0, acquaintances: 0 };

const part = {
  async build(wanted: VillagePlan): Promise<void> {
    plan = wanted;
    const { nodes, dead } = plan;
    for (let i = 0; i < nodes; i++) {
      const silent = i >= nodes - Math.floor(dead / 2);
      houses.push(await build(i, { host: hostOf(silent ? NOWHERE : HERE, i), listens: i < nodes - dead }));
    }
    for (const [i, house] of houses.entries()) introduce(house, acquaintances(i));
  },

  /** One more node, which knows nobody yet and whom nobody knows. @returns where it answers */
  async enter(): Promise<string> {
    const house = await build(houses.length, { host: hostOf(HERE, houses.length), listens: true });
    houses.push(house);
    return formatEndpoint(house.endpoint);
  },

  /** The one that entered last now knows others. */
  settle(): void {
    const newest = houses.at(-1);
    if (newest !== undefined) introduce(newest, acquaintances(-1));
  },
};

async function build(number: number, { host, listens }: { host: string; listens: boolean }): Promise<House> {
  const identity = await identityFromSeed(randomBytes(32));
  const endpoint = { host, port: PORT };
  const record: NodeRecord = { ...BLANK, id: identity.id, name: `node-${number}`, addresses: [host] };
  const own = { record, signed: signRecord(record, identity.key) };
  const table = IpTable.open({
    id: identity.id,
    self: () => own,
    reach: { link: alone, existing: () => undefined },
    identify: alone,
    ping: alone,
    grantOf: () => undefined,
    allowed: noNetworks,
    database: openDatabase(":memory:"),
    filePath: "", // written by run() alone, which is not called
    clock: systemClock,
    random,
    log: silentLog,
  });
  if (listens) {
    const answering = new Answering(systemClock, { isKnown: () => false });
    const app = Fastify();
    guardRoutes(app, { callerOf: ({ raw }) => answering.callerOf(raw), roleOf: () => "stranger" });
    const description = { record: own.signed, version: VERSION, protocol: [1], boot: record.boot };
    app.get("/v1/node", { config: { admits: admits.everyone } }, () => description);
    await app.register(serveTable({ table, clock: systemClock, log: silentLog }));
    await app.ready();
    answering.attach(
      (request, response) => app.routing(request as never, response as never),
      (tunnel) => tunnel.refuse(new Failure("not-found", "nothing here")),
    );
    const carrier = new TcpCarrier({ identity, clock: systemClock, isTrusted: () => false });
    await carrier.listen((pipe) => answering.take(pipe), { port: PORT, hosts: [host] }, never);
  }
  return { endpoint, ...own, table };
}

/** Makes `house` know others as one does who visited them. */
function introduce({ table }: House, others: readonly House[]): void {
  table.nodes.learn(
    others.map(({ signed }) => signed),
    { kind: "person" },
  );
  for (const { record, endpoint } of others) {
    table.nodes.answered(record.id, { kind: "tcp4", remote: formatEndpoint(endpoint) });
  }
}

/** @param number -1 for one that came later */
function acquaintances(number: number): readonly House[] {
  const { nodes, acquaintances: count } = plan;
  if (count === 0) return houses.slice(number + 1, Math.min(number + 2, nodes));
  const others = houses.slice(0, nodes).filter((_, i) => i !== number);
  return shuffled(others, random).slice(0, count);
}

function hostOf(first: number, number: number): string {
  return `${first + (number >> 8)}.${number & 255}.0.1`;
}

function alone(): never {
  throw new Failure("unreachable", "these nodes only answer");
}

const BLANK = {
  v: 1,
  seq: 1,
  port: PORT,
  udpPort: 0,
  nat: "none",
  via: [],
  labels: [],
  resources: { cpus: 4, memoryBytes: 8e9, diskBytes: 1e11, gpus: [] },
  version: VERSION,
  info: "",
  lends: true,
  boot: "0123456789abcdef",
} satisfies Omit<NodeRecord, "id" | "name" | "addresses">;

export type VillagePart = typeof part;
act(part);
