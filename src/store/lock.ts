/**
 * One daemon per home, for as long as it lives and not a moment longer.
 *
 * The lock is an exclusive SQLite transaction on a file that holds nothing. The kernel drops it when
 * the process ends, however it ends, and children do not inherit it, so there is no stale lock and no
 * process id to trust. The id in `pid` is for the message only.
 */

import { readFile, rm, writeFile } from "node:fs/promises";
import { DatabaseSync } from "node:sqlite";
import { Failure } from "../core/index.ts";
import { diskFailure } from "./disk-full.ts";
import { closeToOthers } from "./database.ts";
import type { Home } from "./home.ts";
import { sweepTemporary } from "./write-atomic.ts";

const SQLITE_BUSY = 5;
const SQLITE_NOTADB = 26;

export class HomeLock implements AsyncDisposable {
  readonly #database: DatabaseSync;
  readonly #pid: string;

  constructor(database: DatabaseSync, pid: string) {
    this.#database = database;
    this.#pid = pid;
  }

  /** Letting go twice is the same as once. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#database.isOpen) return;
    await rm(this.#pid, { force: true });
    this.#database.close();
  }
}

/**
 * Takes the home, and clears away what a daemon that was killed left: its socket, unfinished files.
 * @param pid this process, for the message that the next one prints
 * @throws {Failure} home-in-use, home-unusable, disk-full
 */
export async function lockHome(home: Home, pid: number): Promise<HomeLock> {
  const database = takeLock(home) ?? (await refuse(home));
  const lock = new HomeLock(database, home.pid);
  try {
    await writeFile(home.pid, `${pid}\n`, { mode: 0o600 });
    if (home.platform !== "win32") await rm(home.socket, { force: true });
    await sweepTemporary(home.path);
    return lock;
  } catch (error) {
    await lock[Symbol.asyncDispose]();
    throw diskFailure(error, home.path) ?? error;
  }
}

/** Undefined when somebody else holds it. */
function takeLock(home: Home): DatabaseSync | undefined {
  closeToOthers(home.lock);
  const database = new DatabaseSync(home.lock, { timeout: 0 });
  try {
    database.exec("PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE");
    return database;
  } catch (error) {
    database.close();
    const { errcode } = error as { readonly errcode?: number };
    if (errcode === SQLITE_BUSY) return undefined;
    if (errcode !== SQLITE_NOTADB) throw diskFailure(error, home.lock) ?? error;
    throw new Failure("home-unusable", `"${home.lock}" is damaged`, {
      hint: `see that no daemon runs on this home, and run \`rm '${home.lock}'\`; it holds nothing`,
      cause: error,
    });
  }
}

async function refuse(home: Home): Promise<never> {
  const pid = Number.parseInt(await readFile(home.pid, "utf8").catch(() => ""), 10);
  throw new Failure(
    "home-in-use",
    `another daemon runs on "${home.path}"${Number.isNaN(pid) ? "" : ` (process ${pid})`}`,
    {
      hint: "use it as it is, end it with `p2prc stop`, or choose another folder with `--home`",
    },
  );
}
