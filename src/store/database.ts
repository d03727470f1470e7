/**
 * The state of a home: one SQLite file in which each room has tables of its own.
 *
 * A file that is damaged is moved aside under a name with the time, never emptied and never
 * overwritten, and somebody hears of it.
 */

import { closeSync, openSync, renameSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { type Clock, systemClock } from "../base/index.ts";
import { Failure } from "../core/index.ts";
import { diskFailure, errorCode } from "./disk-full.ts";

const SQLITE_CORRUPT = 11;
const SQLITE_NOTADB = 26;
const VERSIONS = "CREATE TABLE IF NOT EXISTS store_versions (room TEXT PRIMARY KEY, version INTEGER NOT NULL) STRICT";
/** Another process of this home may be writing (`p2prc` with `--home` in use): waits are short, writes are too. */
const BUSY_TIMEOUT_MS = 5_000;

export interface DatabaseOptions {
  /**
   * Told when the file was damaged and has been moved aside; an empty one is opened in its place.
   * @default the Failure is thrown, and the next call opens an empty one
   */
  readonly onBroken?: (failure: Failure) => void;
  /** @default systemClock */
  readonly clock?: Pick<Clock, "wallTime">;
}

/**
 * @param path a file, or `:memory:`
 * @throws {Failure} home-unusable, disk-full
 */
export function openDatabase(path: string, options: DatabaseOptions = {}): DatabaseSync {
  try {
    return openSound(path);
  } catch (error) {
    if (!isDamage(error)) throw asFailure(error, path);
    const failure = moveAside(path, { error, clock: options.clock ?? systemClock });
    if (options.onBroken === undefined) throw failure;
    options.onBroken(failure);
    return openSound(path);
  }
}

/**
 * Brings the tables of `room` up to date: runs the steps that have not run yet, each in a transaction.
 * A step that has been released is never changed; a new one is added behind it.
 * @throws {Failure} version-differs when a newer program wrote them; disk-full
 */
export function migrate(database: DatabaseSync, room: string, steps: readonly string[]): void {
  tellingFull(() => database.exec(VERSIONS));
  const row = database.prepare("SELECT version FROM store_versions WHERE room = ?").get(room);
  const version = Number(row?.["version"] ?? 0);
  if (version > steps.length) {
    throw new Failure(
      "version-differs",
      `a newer p2prc wrote this state (${room} ${version}, this one knows ${steps.length})`,
      {
        hint: "use the newer p2prc again, or another folder with `--home`",
      },
    );
  }
  const save = database.prepare(
    "INSERT INTO store_versions (room, version) VALUES (?, ?) ON CONFLICT (room) DO UPDATE SET version = excluded.version",
  );
  for (const [index, step] of steps.entries()) {
    if (index < version) continue;
    inTransaction(database, () => {
      database.exec(step);
      save.run(room, index + 1);
    });
  }
}

/**
 * Runs `work` as a whole or not at all.
 * @throws {Failure} disk-full; and what `work` throws
 */
export function inTransaction<T>(database: DatabaseSync, work: () => T): T {
  try {
    database.exec("BEGIN IMMEDIATE");
    const result = work();
    database.exec("COMMIT");
    return result;
  } catch (error) {
    if (database.isTransaction) database.exec("ROLLBACK"); // a full disk may have rolled back already
    throw diskFailure(error) ?? error;
  }
}

function tellingFull(work: () => void): void {
  try {
    work();
  } catch (error) {
    throw diskFailure(error) ?? error;
  }
}

/**
 * Like inTransaction, and it holds after a power cut too: for what must never come back, such as a right that was taken away.
 * Ordinary ones may lose the last moments before a power cut, never before a `kill -9`.
 */
export function durably<T>(database: DatabaseSync, work: () => T): T {
  database.exec("PRAGMA synchronous = FULL");
  try {
    return inTransaction(database, work);
  } finally {
    database.exec("PRAGMA synchronous = NORMAL");
  }
}

/**
 * SQLite makes files as the umask says; one that exists keeps its mode, and its companions (-wal, -shm) take it over.
 * One that exists is not even opened: closing it would drop this process's own locks on it (POSIX, fcntl).
 */
export function closeToOthers(path: string): void {
  try {
    closeSync(openSync(path, "wx", 0o600));
  } catch (error) {
    if (errorCode(error) !== "EEXIST") throw error;
  }
}

function openSound(path: string): DatabaseSync {
  if (path !== ":memory:") closeToOthers(path);
  const database = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS });
  try {
    database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON");
    const check = Object.values(database.prepare("PRAGMA quick_check(1)").get() ?? {})[0];
    if (check !== "ok") throw new Damage(String(check));
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/** What `quick_check` found. */
class Damage extends Error {}

function isDamage(error: unknown): boolean {
  if (error instanceof Damage) return true;
  const errcode = (error as { readonly errcode?: unknown }).errcode;
  return typeof errcode === "number" && ((errcode & 0xff) === SQLITE_CORRUPT || (errcode & 0xff) === SQLITE_NOTADB);
}

function moveAside(
  path: string,
  { error, clock }: { readonly error: unknown; readonly clock: Pick<Clock, "wallTime"> },
): Failure {
  const stamp = new Date(clock.wallTime()).toISOString().replaceAll(/[:.]/g, "-");
  const aside = `${path}.broken-${stamp}`;
  for (const suffix of ["-wal", "-shm", ""]) {
    try {
      renameSync(path + suffix, aside + suffix);
    } catch (cause) {
      if (errorCode(cause) !== "ENOENT") throw cause; // companions need not exist
    }
  }
  return new Failure("home-unusable", `"${path}" was damaged and has been moved to "${aside}"`, {
    hint: "put a backup in its place; else grants, invites and known nodes have to be made again",
    cause: error,
  });
}

function asFailure(error: unknown, path: string): unknown {
  const full = diskFailure(error, path);
  if (full !== undefined) return full;
  if (errorCode(error) === undefined) return error;
  return new Failure("home-unusable", `cannot open "${path}": ${(error as Error).message}`, {
    hint: `run \`ls -ld '${path}'\`, or choose another folder with \`--home\``,
    cause: error,
  });
}
