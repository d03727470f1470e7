/**
 * Ports of sandboxes in public: each is a TCP port on the addresses at which this node listens, for whoever comes, where the
 * guest's grant allows it.
 *
 * What is written down is what was asked for; a look twice a second opens what should be open and ends what may no longer be:
 * with the lease, with the grant, and in a panic for good.
 */

import type { DatabaseSync } from "node:sqlite";
import { type Clock, type Log, Scope } from "../../base/index.ts";
import { exceeds, Failure, type Grant, type NodeId } from "../../core/index.ts";
import { durably, migrate } from "../../store/index.ts";
import type { PublishedPort, PublishRequest, Sandbox } from "../contract.ts";
import type { SandboxId } from "../runtime/sandbox-id.ts";
import type { Guest } from "./house.ts";
import type { Lease } from "./lease.ts";
import type { LeaseBook } from "./lease-book.ts";
import { PublicPort } from "./public-port.ts";
import { type Streams, usable } from "./streams.ts";

export interface PublicationsDeps {
  readonly database: DatabaseSync;
  readonly book: Pick<LeaseBook, "get">;
  readonly streams: Pick<Streams, "toPort">;
  readonly grantOf: (id: NodeId) => Grant | undefined;
  /** At which this node listens now; none while it does not lend. */
  readonly hosts: () => readonly string[];
  readonly clock: Clock;
  readonly log: Log;
}

interface Row extends PublishedPort {
  readonly sandbox: SandboxId;
}

interface Asked {
  readonly guest: Guest;
  readonly wish: PublishRequest;
}

const LOOK_EVERY_MS = 500;
/** Of all guests together, each with a listener for every address. */
const MAX_PUBLISHED = 256;
/** Below are the system's own. */
const FIRST_PORT = 1_024;

const STEPS = [
  `CREATE TABLE publish_ports (
     sandbox TEXT NOT NULL, internal INTEGER NOT NULL, public INTEGER NOT NULL, PRIMARY KEY (sandbox, internal)
   ) STRICT;`,
];

export class Publications implements AsyncDisposable {
  readonly #deps: PublicationsDeps;
  readonly #rows = new Map<string, Row>();
  readonly #open = new Map<string, PublicPort>();
  readonly #scope = new Scope();
  /** One change at a time. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(deps: PublicationsDeps) {
    migrate(deps.database, "publish", STEPS);
    this.#deps = deps;
    for (const { sandbox, internal, public: port } of deps.database.prepare("SELECT * FROM publish_ports").all())
      this.#note({ sandbox: sandbox as SandboxId, internal: Number(internal), public: Number(port) });
  }

  /** Those of one sandbox that are open. */
  of(id: SandboxId): readonly PublishedPort[] {
    return [...this.#rows.values()].flatMap(({ sandbox, internal, public: port }) =>
      sandbox === id && this.#open.has(keyOf(id, internal)) ? [{ internal, public: port }] : [],
    );
  }

  /** The same with what of it is in public. */
  shown(sandbox: Sandbox): Sandbox {
    const published = this.of(sandbox.id);
    return published.length === 0 ? sandbox : { ...sandbox, published: [...published] };
  }

  /** Open already: the same one. @throws {Failure} not-allowed, busy, conflict, port-in-use, not-supported */
  publish(lease: Lease, asked: Asked, signal: AbortSignal): Promise<PublishedPort> {
    return this.#inTurn(() => this.#publish(lease, asked, signal));
  }

  /** @throws {Failure} not-found */
  unpublish(id: SandboxId, internal: number): Promise<void> {
    return this.#inTurn(async () => {
      const key = keyOf(id, internal);
      if (!this.#rows.has(key))
        throw new Failure("not-found", `port ${internal} is not published`, {
          hint: "`p2prc port ls` shows those that are",
        });
      await this.#end(key);
    });
  }

  /** Brings what is open to what should be, until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#inTurn(() => this.#look(signal));
      await this.#deps.clock.sleep(LOOK_EVERY_MS, signal);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#scope.close();
    await this.#last;
    await Promise.all([...this.#open.values()].map((port) => port[Symbol.asyncDispose]()));
    this.#open.clear();
  }

  async #publish(lease: Lease, { guest, wish }: Asked, signal: AbortSignal): Promise<PublishedPort> {
    const { id } = usable(lease);
    const key = keyOf(id, wish.port);
    const before = this.#rows.get(key);
    if (before !== undefined && this.#open.has(key) && (wish.public ?? before.public) === before.public)
      return { internal: before.internal, public: before.public };
    this.#refuse(guest, key);
    if (before !== undefined) await this.#end(key);
    const opened = await this.#openFirst(lease, wish, signal);
    const row = { sandbox: id, internal: wish.port, public: opened.port };
    try {
      this.#save(row);
    } catch (error) {
      await opened[Symbol.asyncDispose]();
      throw error;
    }
    this.#open.set(key, opened);
    this.#deps.log.info("port published", { ...row, guest: lease.guest });
    return { internal: row.internal, public: row.public };
  }

  /** @throws {Failure} not-allowed, busy, not-supported */
  #refuse({ id, grant }: Guest, key: string): void {
    const [excess] = exceeds(grant, { publish: true });
    if (excess !== undefined)
      throw new Failure("not-allowed", `the grant does not allow it: ${excess.why}`, {
        hint: "ask the owner of that node: `p2prc grant NODE --publish`",
      });
    if (this.#deps.hosts().length === 0)
      throw new Failure("not-supported", "this node listens nowhere now, so nothing can be published on it", {
        hint: "ask its owner to lend again: `p2prc lend on`",
      });
    const others = [...this.#rows].filter(([other]) => other !== key);
    const theirs = others.filter(([, { sandbox }]) => this.#deps.book.get(sandbox)?.guest === id);
    if (grant.kind !== "own" && theirs.length >= grant.ports)
      throw new Failure("busy", `${theirs.length} ports are published, and the grant allows ${grant.ports}`, {
        hint: "end another with `p2prc port rm BOX PORT --publish`",
      });
    if (others.length >= MAX_PUBLISHED)
      throw new Failure("busy", `this node publishes ${others.length} ports already`, { hint: "try again later" });
  }

  async #openFirst(lease: Lease, { port, public: wanted }: PublishRequest, signal: AbortSignal): Promise<PublicPort> {
    if (wanted !== undefined) return await this.#openPort(lease, { internal: port, public: wanted }, signal);
    try {
      return await this.#openPort(lease, { internal: port, public: port < FIRST_PORT ? 0 : port }, signal);
    } catch (error) {
      if (!(error instanceof Failure) || error.code !== "port-in-use") throw error;
      return await this.#openPort(lease, { internal: port, public: 0 }, signal);
    }
  }

  #openPort({ id, guest }: Lease, { internal, public: port }: PublishedPort, signal: AbortSignal): Promise<PublicPort> {
    const { hosts, streams, grantOf, log } = this.#deps;
    const connect = async (gone: AbortSignal) => {
      const grant = grantOf(guest);
      if (grant === undefined || exceeds(grant, { publish: true }).length > 0)
        throw new Failure("not-allowed", "the grant has ended");
      return await streams.toPort({ id: guest, grant }, { id, port: internal }, gone);
    };
    return PublicPort.open({ hosts: hosts(), port }, { connect, log }, signal);
  }

  async #look(signal: AbortSignal): Promise<void> {
    for (const [key, row] of [...this.#rows]) {
      const lease = this.#deps.book.get(row.sandbox);
      const listening = this.#deps.hosts().length > 0;
      if (lease === undefined || !this.#mayStay(lease)) await this.#end(key);
      else if (!listening) await this.#close(key);
      else if (!this.#open.has(key)) await this.#reopen(lease, row, signal);
    }
  }

  #mayStay({ state, holds, guest }: Lease): boolean {
    const grant = this.#deps.grantOf(guest);
    const granted = grant !== undefined && exceeds(grant, { publish: true }).length === 0;
    return granted && state === "running" && !holds.some(({ kind }) => kind === "panic");
  }

  /** After a restart, or a pause of lending. */
  async #reopen(lease: Lease, row: Row, signal: AbortSignal): Promise<void> {
    const key = keyOf(row.sandbox, row.internal);
    try {
      this.#open.set(key, await this.#openPort(lease, row, signal));
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      this.#deps.log.warn("a published port could not be opened again", { ...row, why: error.message });
      await this.#end(key);
    }
  }

  async #end(key: string): Promise<void> {
    const row = this.#rows.get(key);
    if (row === undefined) return;
    this.#rows.delete(key);
    await this.#close(key);
    this.#deps.log.info("port no longer published", { ...row });
    try {
      this.#write("DELETE FROM publish_ports WHERE sandbox = ? AND internal = ?", [row.sandbox, row.internal]);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      this.#deps.log.warn("the end of a published port could not be written", { why: error.message });
    }
  }

  async #close(key: string): Promise<void> {
    const open = this.#open.get(key);
    this.#open.delete(key);
    await open?.[Symbol.asyncDispose]();
  }

  #save(row: Row): void {
    const { sandbox, internal, public: port } = row;
    this.#write("INSERT OR REPLACE INTO publish_ports VALUES (?, ?, ?)", [sandbox, internal, port]);
    this.#note(row);
  }

  #note(row: Row): void {
    this.#rows.set(keyOf(row.sandbox, row.internal), row);
  }

  #write(statement: string, values: readonly (string | number)[]): void {
    durably(this.#deps.database, () => this.#deps.database.prepare(statement).run(...values));
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(work);
    this.#last = turn.catch(() => undefined); // whoever asked hears of it
    return turn;
  }
}

function keyOf(id: SandboxId, internal: number): string {
  return `${id}/${internal}`;
}
