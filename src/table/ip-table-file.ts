/**
 * `ip_table.json`: the table as a person sees it and a script reads it. Fields and units: docs/ip-table.md.
 *
 * It is written for others and never read back: the state is in SQLite. A file of that name that this
 * program did not write (the Go program's, a truncated one) is moved aside, not overwritten.
 */

import { readdir, readFile, rename, rm } from "node:fs/promises";
import { isIPv6 } from "node:net";
import { basename, dirname, join } from "node:path";
import type { Clock, Log } from "../base/index.ts";
import { Failure } from "../core/index.ts";
import { writeFileAtomic } from "../store/index.ts";
import type { NodeRow } from "./contract.ts";

export interface IpTableFileDeps {
  readonly path: string;
  readonly rows: () => readonly NodeRow[];
  /** Grows when there is something to write. */
  readonly version: () => number;
  readonly clock: Clock;
  readonly log: Log;
}

/** At most this often, and only when something changed. */
const WRITE_MS = 5_000;
/** Of the files that were moved aside: two programs on one file would fill the disk with them. */
const KEPT_FOREIGN = 3;
const FORMAT = "p2prc ip table 1";
/** Larger than any table of ours: not worth reading to find out. */
const MAX_OWN_BYTES = 64 * 1024 * 1024;

export class IpTableFile {
  readonly #deps: IpTableFileDeps;
  #written = -1;
  #failed = false;

  constructor(deps: IpTableFileDeps) {
    this.#deps = deps;
  }

  /** Whether the file is older than the table, because it could not be written. */
  get unwritten(): boolean {
    return this.#failed;
  }

  /** Writes until `signal` aborts, and then once more. */
  async run(signal: AbortSignal): Promise<void> {
    await this.#moveForeignAside();
    try {
      while (!signal.aborted) {
        await this.write();
        await this.#deps.clock.sleep(WRITE_MS, signal);
      }
    } finally {
      await this.write();
    }
  }

  /** Writes the file if anything changed since. A full disk leaves the old one, whole. */
  async write(): Promise<void> {
    const version = this.#deps.version();
    if (version === this.#written) return;
    try {
      await writeFileAtomic(this.#deps.path, formatIpTable(this.#deps.rows()));
      this.#written = version;
      this.#failed = false;
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      if (!this.#failed) this.#deps.log.warn("ip_table.json could not be written", { reason: error.message });
      this.#failed = true;
    }
  }

  async #moveForeignAside(): Promise<void> {
    const { path, clock, log } = this.#deps;
    if (await isOursOrAbsent(path)) return;
    const aside = `${path}.foreign-${new Date(clock.wallTime()).toISOString().replaceAll(/[:.]/g, "-")}`;
    await rename(path, aside);
    await this.#dropOldForeign();
    log.warn("ip_table.json was not written by this program, or is not whole: it has been moved aside", { to: aside });
  }

  /** The time in their names puts them in order. */
  async #dropOldForeign(): Promise<void> {
    const { path } = this.#deps;
    const start = `${basename(path)}.foreign-`;
    const names = (await readdir(dirname(path))).filter((name) => name.startsWith(start)).sort();
    for (const name of names.slice(0, -KEPT_FOREIGN)) await rm(join(dirname(path), name), { recursive: true });
  }
}

/** The Go program's envelope, so that scripts that read its table find the nodes of this one. */
export function formatIpTable(rows: readonly NodeRow[]): string {
  return `${JSON.stringify({ format: FORMAT, ip_address: rows.map(entryOf) }, null, 1)}\n`;
}

function entryOf(row: NodeRow) {
  return {
    Name: row.name,
    NodeId: row.id,
    IPV4: row.addresses.find((address) => !isIPv6(address)) ?? "",
    IPV6: row.addresses.find((address) => isIPv6(address)) ?? "",
    ServerPort: String(row.port),
    Latency: row.rttMs ?? null,
    Download: megabytes(row.downBytesPerSecond),
    Upload: megabytes(row.upBytesPerSecond),
    NAT: row.nat,
    Via: row.via,
    Path: row.path ?? "",
    LastSeen: row.lastSeen ?? "",
    CustomInformation: row.info,
  };
}

function megabytes(bytesPerSecond: number | undefined): number | null {
  return bytesPerSecond === undefined ? null : Math.round(bytesPerSecond / 1e4) / 100;
}

async function isOursOrAbsent(path: string): Promise<boolean> {
  try {
    const text = await readFile(path, "utf8");
    if (text.length > MAX_OWN_BYTES) return false;
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && "format" in value && value.format === FORMAT;
  } catch (error) {
    if (error instanceof SyntaxError) return false;
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") return true;
    if (code === "EISDIR") return false;
    throw error;
  }
}
