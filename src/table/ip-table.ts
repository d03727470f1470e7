/**
 * The room as a whole: the rows, who keeps them fresh, and what the other rooms may ask.
 *
 * It is built from parts that know nothing of each other's insides; `run` is all the work that goes on.
 */

import type { DatabaseSync } from "node:sqlite";
import { type Static, Type } from "typebox";
import { type Clock, type Log, type Random, Scope, within } from "../base/index.ts";
import {
  type AllowedNetworks,
  type Endpoint,
  Failure,
  formatEndpoint,
  isSignedBy,
  type NodeId,
  readRecord,
  resolveName,
  SignedRecord,
  verifyRecord,
} from "../core/index.ts";
import { ask, type Dialable, type Link, type Reach } from "../network/index.ts";
import { askTable } from "./ask.ts";
import { Asker, type AskerCounts } from "./asker.ts";
import type { IdentifyReply, NodeRow, UpdateResult } from "./contract.ts";
import { Exchange } from "./exchange.ts";
import { HopWalks, type WalkRequest } from "./hop-walk.ts";
import { IpTableFile } from "./ip-table-file.ts";
import { LanDiscovery, type LanDiscoveryDeps } from "./lan-discovery.ts";
import { type Joining, NodeTable } from "./node-table.ts";
import { Outbound } from "./outbound.ts";
import { ProbeRation } from "./probe-ration.ts";
import type { Measures, Relation, Row, VersionedRecord } from "./row.ts";
import { RowStore } from "./row-store.ts";
import { nameOf, namedOf, viewRow } from "./view.ts";
import { Visitor, type VisitorDeps } from "./visitor.ts";

export interface IpTableDeps {
  readonly id: NodeId;
  /** This node's own record, once it has one. */
  readonly self: () => VersionedRecord | undefined;
  readonly reach: Reach;
  /** A link to whoever answers there. @throws {Failure} unreachable */
  readonly identify: (endpoint: Endpoint, signal: AbortSignal) => Promise<Link>;
  readonly ping: VisitorDeps["ping"];
  /** What this node granted: undefined where nothing. */
  readonly grantOf: (id: NodeId) => { readonly expires?: string } | undefined;
  readonly allowed: AllowedNetworks;
  readonly database: DatabaseSync;
  /** The LAN, for finding the nodes beside this one. Absent: it does not look, and is not found there. */
  readonly lan?: Pick<LanDiscoveryDeps, "open" | "listensAt" | "port" | "onMove">;
  /** Where `ip_table.json` goes. */
  readonly filePath: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

export interface IpTableOptions {
  /** @default 8192 */
  readonly maxRows?: number;
}

const IDENTIFY_MS = 10_000;
/** A person who adds a node by hand sees whether it answers, but does not wait for it for ever. */
const ADD_MS = 6_000;

/** As much of the public description as is needed here. */
const Description = Type.Object({ record: SignedRecord });

export class IpTable implements AsyncDisposable {
  readonly nodes: NodeTable;
  readonly self: IpTableDeps["self"];
  readonly visitor: Visitor;
  readonly outbound: Outbound;
  readonly #deps: IpTableDeps;
  readonly #scope = new Scope();
  readonly #asker: Asker;
  readonly #walks: HopWalks;
  readonly #exchange: Exchange;
  readonly #store: RowStore;
  readonly #file: IpTableFile;
  #version = 0;

  /** Reads what an earlier life left in the database. @throws {Failure} version-differs, disk-full */
  static open(deps: IpTableDeps, options: IpTableOptions = {}): IpTable {
    return new IpTable(deps, options);
  }

  private constructor(deps: IpTableDeps, options: IpTableOptions) {
    const { clock, random, log, reach, ping, self } = deps;
    this.#deps = deps;
    this.self = self;
    const holdsGrant = (id: NodeId) => deps.grantOf(id) !== undefined;
    const records = { read: readRecord, isSigned: isSignedBy };
    const table = new NodeTable({ ...deps, records, holdsGrant }, options);
    this.nodes = table;
    this.#asker = new Asker({ table, self, ask: askTable, clock, random });
    const ration = new ProbeRation({ clock, isExempt: (host) => table.isNearby(host) });
    const visitor = new Visitor({ table, asker: this.#asker, ration, reach, ping, clock });
    this.visitor = visitor;
    this.outbound = new Outbound({ table, visitor, reach, now: () => clock.now(), random });
    this.#exchange = new Exchange({ table, visitor, outbound: this.outbound, clock, random, log });
    this.#walks = this.#scope.own(new HopWalks({ table, visitor, clock }));
    this.#store = new RowStore({ database: deps.database, table, clock, log });
    const listening = table.changes.on(() => void this.#version++);
    this.#scope.defer(() => listening[Symbol.dispose]());
    this.#scope.defer(() => this.#store[Symbol.dispose]());
    this.#scope.defer(() => this.outbound[Symbol.dispose]());
    const version = () => this.#version;
    this.#file = new IpTableFile({ path: deps.filePath, rows: () => this.rows("all"), version, clock, log });
  }

  /** Exchanges, tests, retries and writes until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    await using scope = new Scope(signal);
    scope.spawn((ending) => this.#store.run(ending));
    scope.spawn((ending) => this.#file.run(ending));
    const { lan, id, self, identify, clock, random, log } = this.#deps;
    if (lan !== undefined) {
      const { nodes: table, visitor } = this;
      const discovery = new LanDiscovery({ ...lan, id, table, visitor, identify, self, clock, random, log });
      scope.spawn((ending) => discovery.run(ending));
    }
    await this.#exchange.run(scope.signal);
  }

  /** What a person typed, as something to dial. @throws {Failure} unknown-node, ambiguous */
  resolve(text: string): Dialable & { readonly name: string } {
    const row = this.find(text);
    return { ...this.nodes.dialable(row), name: nameOf(row) };
  }

  /** @throws {Failure} unknown-node, ambiguous */
  find(text: string): Row {
    return resolveName(
      text,
      Array.from(this.nodes.rows.all(), (row) => namedOf(this.nodes, row)),
    ).row;
  }

  /** Where to dial `id`, if it is known. */
  dialable(id: NodeId): Dialable | undefined {
    const row = this.nodes.get(id);
    return row === undefined ? undefined : this.nodes.dialable(row);
  }

  /** For words that name it: its name here, what it calls itself, or its short id. */
  nameOf(id: NodeId): string {
    const row = this.nodes.get(id);
    return row === undefined ? `${id.slice(0, 4)}…${id.slice(-4)}` : nameOf(row);
  }

  relationOf(id: NodeId): Relation | undefined {
    return this.nodes.get(id)?.relation;
  }

  /** Friends and own nodes, or everybody. In no order. */
  rows(which: "joined" | "all"): NodeRow[] {
    const rows = which === "joined" ? this.nodes.rows.joined.values() : this.nodes.rows.all();
    return Array.from(rows, (row) => this.view(row));
  }

  view(row: Row): NodeRow {
    const { grantOf, clock } = this.#deps;
    const isVisiting = (id: NodeId) => this.visitor.isVisiting(id);
    const nameOf = (id: NodeId) => this.nameOf(id);
    return viewRow({ table: this.nodes, isVisiting, nameOf, grantOf, wallTime: () => clock.wallTime() }, row);
  }

  /** After an invite was redeemed. On disk when this returns. @returns the name it has here @throws {Failure} conflict, disk-full */
  befriend(joining: Joining): string {
    return nameOf(this.#decide(joining.id, () => this.nodes.join(joining)));
  }

  /** On disk when this returns. @throws {Failure} bad-name, conflict, disk-full */
  rename(row: Row, name: string): void {
    this.#decide(row.id, () => this.nodes.rename(row, name));
  }

  /** Gone from the disk too when this returns. @throws {Failure} disk-full */
  remove(row: Row): void {
    this.#store.forget(row.id);
    this.nodes.remove(row);
  }

  /** What was measured of a node. Nodes that are not in the table are passed over. */
  note(id: NodeId, measures: Measures): void {
    this.nodes.note(id, measures);
  }

  walk(request: WalkRequest, signal: AbortSignal): Promise<UpdateResult> {
    return this.#walks.walk(request, signal);
  }

  /** Who answers at `endpoint`. @throws {Failure} unreachable, timed-out, bad-reply, bad-record, wrong-key */
  async identify(endpoint: Endpoint, signal: AbortSignal): Promise<IdentifyReply> {
    const { identify, clock } = this.#deps;
    const address = formatEndpoint(endpoint);
    const late = () => new Failure("timed-out", `"${address}" did not answer within ${IDENTIFY_MS / 1000} s`);
    const { id, record } = await within(
      { clock, timeoutMs: IDENTIFY_MS, late },
      async (attempt) => {
        const link = await identify(endpoint, attempt);
        const described: Static<typeof Description> = await ask(
          link,
          { method: "GET", path: "/v1/node", reply: Description },
          attempt,
        );
        return { id: link.peer, record: verifyRecord(described.record) };
      },
      signal,
    );
    if (record.id !== id) throw new Failure("wrong-key", `"${address}" describes another node than itself`);
    const row = this.nodes.get(id);
    const known =
      row === undefined ? {} : { known: { name: nameOf(row), relation: row.relation ?? ("stranger" as const) } };
    return { id, name: record.name, version: record.version, address, ...known };
  }

  /** A person confirmed the key: the node becomes a friend. @throws {Failure} wrong-key, conflict, disk-full */
  async add(
    { id, endpoint }: { readonly id: NodeId; readonly endpoint: Endpoint },
    signal: AbortSignal,
  ): Promise<NodeRow> {
    const isNew = this.nodes.get(id)?.relation === undefined;
    const row = this.#decide(id, () => this.nodes.join({ id, relation: "friend", endpoints: [endpoint] }));
    const late = () => new Failure("timed-out", "it did not answer yet");
    const visiting = within(
      { clock: this.#deps.clock, timeoutMs: ADD_MS, late },
      (attempt) => this.visitor.visit(id, {}, attempt),
      signal,
    );
    const visit = await visiting.catch((error: unknown) => {
      if (error instanceof Failure && error.code === "timed-out") return undefined; // it stays, and is tried again
      throw error;
    });
    if (isNew && visit?.kind === "failed" && visit.why === "wrong-key") {
      this.remove(row);
      throw new Failure("wrong-key", `another node than ${id.slice(0, 16)}… answers at "${formatEndpoint(endpoint)}"`);
    }
    this.#store.flush();
    return this.view(row);
  }

  /** Whether something waits for room on the disk. */
  get unwritten(): boolean {
    return this.#store.unwritten || this.#file.unwritten;
  }

  /** What a person decides is on disk, or it is not done. */
  #decide<T>(id: NodeId, change: () => T): T {
    const row = this.nodes.get(id);
    const before = row === undefined ? undefined : { ...row };
    const done = change();
    try {
      this.#store.keep();
      return done;
    } catch (error) {
      this.nodes.undo(id, before);
      throw error;
    }
  }

  /** For metrics. */
  get counts(): AskerCounts & NodeTable["rows"]["counts"] {
    return { ...this.#asker.counts, ...this.nodes.rows.counts };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#scope.close();
    this.#store.flush();
  }
}
