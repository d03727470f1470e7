/**
 * The doors of this machine to the sandboxes that its person holds: one for SSH, and one for each port.
 *
 * A door keeps its number: across a lost link, across a restart of the daemon, and where it is free the number inside is
 * the number here. What is written down is only that there is a door, where, and to what.
 */

import type { DatabaseSync } from "node:sqlite";
import type { Duplex } from "node:stream";
import { type Log, Scope } from "../../base/index.ts";
import { Failure } from "../../core/index.ts";
import { durably, migrate } from "../../store/index.ts";
import type { SandboxId } from "../runtime/sandbox-id.ts";
import { Door, type DoorPlace } from "./door.ts";

/** 0 stands for SSH, which has no port inside. */
export const SSH = 0;

export interface DoorRow {
  readonly box: SandboxId;
  /** A port inside, or SSH. */
  readonly internal: number;
  /** The port here. Undefined behind a Unix socket. */
  readonly local: number | undefined;
  readonly path: string | undefined;
}

export interface DoorsDeps {
  readonly database: DatabaseSync;
  /** @throws {Failure} why it cannot be had now */
  readonly connect: (box: SandboxId, internal: number, signal: AbortSignal) => Promise<Duplex>;
  readonly log: Log;
}

export interface DoorWish {
  readonly internal: number;
  /** undefined: the number inside if it is free, else any. */
  readonly local?: number | undefined;
  readonly path?: string | undefined;
}

interface Held {
  readonly row: DoorRow;
  readonly door: Door;
}

/** A sandbox may have a thousand ports; all of them together get as many doors. */
const MAX_DOORS = 2_000;

const STEPS = [
  `CREATE TABLE port_doors (
     box TEXT NOT NULL, internal INTEGER NOT NULL, local INTEGER, path TEXT, PRIMARY KEY (box, internal)
   ) STRICT;`,
];

export class Doors implements AsyncDisposable {
  readonly #deps: DoorsDeps;
  readonly #rows = new Map<string, DoorRow>();
  readonly #held = new Map<string, Held>();
  readonly #scope = new Scope();
  /** One change at a time: two that ask for the same door get the same one. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(deps: DoorsDeps) {
    migrate(deps.database, "port", STEPS);
    this.#deps = deps;
    for (const row of deps.database.prepare("SELECT * FROM port_doors ORDER BY rowid").all()) {
      const read = rowOf(row);
      this.#rows.set(keyOf(read.box, read.internal), read);
    }
  }

  /** Those of one sandbox that are open, in the order in which they were first opened. */
  of(box: SandboxId): readonly DoorRow[] {
    return [...this.#held.values()].map(({ row }) => row).filter((row) => row.box === box);
  }

  /** The boxes for which doors are written down, open or not. */
  get boxes(): ReadonlySet<SandboxId> {
    return new Set([...this.#rows.values()].map(({ box }) => box));
  }

  /** Open already: the same one. @throws {Failure} port-in-use and bad-argument where a place was named; too-large, disk-full */
  open(box: SandboxId, wish: DoorWish, signal: AbortSignal): Promise<DoorRow> {
    return this.#inTurn(() => this.#open(box, wish, signal));
  }

  /**
   * Opens again what was written down for this sandbox.
   * @throws {Failure} the first that said why one could not be opened; all others are open then
   */
  async reopen(box: SandboxId, signal: AbortSignal): Promise<readonly DoorRow[]> {
    const failures: Failure[] = [];
    for (const { internal } of [...this.#rows.values()].filter((row) => row.box === box)) {
      try {
        await this.open(box, { internal }, signal);
      } catch (error) {
        if (!(error instanceof Failure)) throw error;
        failures.push(error);
      }
    }
    if (failures[0] !== undefined) throw failures[0];
    return this.of(box);
  }

  /** Content when there is none. */
  close(box: SandboxId, internal: number): Promise<void> {
    return this.#inTurn(() => this.#close(box, internal));
  }

  /** The sandbox has ended. */
  async closeAll(box: SandboxId): Promise<void> {
    for (const row of [...this.#rows.values()]) if (row.box === box) await this.close(box, row.internal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#scope.close();
    await this.#last;
    for (const { door } of this.#held.values()) await door[Symbol.asyncDispose]();
    this.#held.clear();
  }

  async #open(box: SandboxId, wish: DoorWish, signal: AbortSignal): Promise<DoorRow> {
    const { internal } = wish;
    const key = keyOf(box, internal);
    const there = this.#held.get(key);
    if (there !== undefined && isAsWished(there.row, wish)) return there.row;
    if (this.#rows.size >= MAX_DOORS && !this.#rows.has(key)) {
      throw new Failure("too-large", `${MAX_DOORS} local ports are open already`, {
        hint: "close some with `p2prc port rm`",
      });
    }
    if (there !== undefined) await this.#close(box, internal);
    const connect = (within: AbortSignal) => this.#deps.connect(box, internal, within);
    const door = await this.#openFirst(this.#places(key, wish), { connect, log: this.#deps.log }, signal);
    const row: DoorRow = { box, internal, local: door.port, path: wish.path ?? this.#pathOf(key, wish) };
    try {
      this.#save(row);
    } catch (error) {
      await door[Symbol.asyncDispose]();
      throw error;
    }
    this.#held.set(key, { row, door });
    return row;
  }

  /** Best first. One that was named is the only one. */
  #places(key: string, { internal, local, path }: DoorWish): readonly DoorPlace[] {
    if (path !== undefined) return [{ kind: "unix", path }];
    if (local !== undefined) return [{ kind: "tcp", port: local }];
    const before = this.#rows.get(key);
    if (before?.path !== undefined) return [{ kind: "unix", path: before.path }];
    const wanted = before?.local ?? (internal >= 1_024 ? internal : 0);
    return [wanted, 0].map((port) => ({ kind: "tcp", port }));
  }

  async #openFirst(places: readonly DoorPlace[], deps: ConstructorDeps, signal: AbortSignal): Promise<Door> {
    let last: unknown;
    for (const place of places) {
      try {
        return await Door.open(place, deps, signal);
      } catch (error) {
        if (!(error instanceof Failure)) throw error;
        last = error;
      }
    }
    throw last;
  }

  #pathOf(key: string, { local }: DoorWish): string | undefined {
    return local === undefined ? this.#rows.get(key)?.path : undefined;
  }

  async #close(box: SandboxId, internal: number): Promise<void> {
    const key = keyOf(box, internal);
    if (this.#rows.has(key)) {
      durably(this.#deps.database, () =>
        this.#deps.database.prepare("DELETE FROM port_doors WHERE box = ? AND internal = ?").run(box, internal),
      );
      this.#rows.delete(key);
    }
    const held = this.#held.get(key);
    this.#held.delete(key);
    await held?.door[Symbol.asyncDispose]();
  }

  #save(row: DoorRow): void {
    const { box, internal, local, path } = row;
    durably(this.#deps.database, () =>
      this.#deps.database
        .prepare(`INSERT INTO port_doors (box, internal, local, path) VALUES (?, ?, ?, ?)
           ON CONFLICT (box, internal) DO UPDATE SET local = excluded.local, path = excluded.path`)
        .run(box, internal, local ?? null, path ?? null),
    );
    this.#rows.set(keyOf(box, internal), row);
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(work);
    this.#last = turn.catch(() => undefined); // whoever asked hears of it
    return turn;
  }
}

type ConstructorDeps = Parameters<typeof Door.open>[1];

function isAsWished(row: DoorRow, { local, path }: DoorWish): boolean {
  return (local === undefined || local === 0 || local === row.local) && (path === undefined || path === row.path);
}

function keyOf(box: SandboxId, internal: number): string {
  return `${box}/${internal}`;
}

function rowOf(row: Record<string, unknown>): DoorRow {
  const { box, internal, local, path } = row;
  return {
    box: box as SandboxId,
    internal: Number(internal),
    local: typeof local === "number" ? local : undefined,
    path: typeof path === "string" ? path : undefined,
  };
}
