/**
 * Looks after running sandboxes every two seconds: whether one has taken more disk than it may, and whether this machine
 * has addresses that their filters do not know yet. One that cannot be put right is frozen.
 */

import { type Clock, isAbort, type Log } from "../../../base/index.ts";
import { Failure, formatSize } from "../../../core/index.ts";
import type { SandboxId } from "../sandbox-id.ts";
import type { ClosedNetworks } from "../closed-networks.ts";
import { type DiskUses, limitsOf } from "./disk-use.ts";
import { freeze, type FreezeDeps, isFrozen } from "./freeze.ts";
import { closeAgain, currentClosed, inhabited, showFilter } from "./network.ts";
import { isAlive } from "./process-id.ts";
import { type SandboxFolder, type SandboxRecord, sandboxFolders } from "./sandbox-folder.ts";

export interface WatchDeps extends FreezeDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly root: string;
  readonly disk: DiskUses;
  readonly frozen: (id: SandboxId) => void;
}

const LOOK_EVERY_MS = 2_000;

export class Watch {
  readonly #deps: WatchDeps;
  /** The networks that the filter of each has closed, where this run of the daemon knows. */
  readonly #closed = new Map<SandboxId, string>();
  /** How much those had that were frozen for it: one that the owner lets go on may tidy up, but take no more. */
  readonly #allowed = new Map<SandboxId, number>();

  constructor(deps: WatchDeps) {
    this.#deps = deps;
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.look(signal);
      await this.#deps.clock.sleep(LOOK_EVERY_MS, signal);
    }
  }

  /** One round. */
  async look(signal: AbortSignal): Promise<void> {
    const closed = currentClosed();
    const folders = await sandboxFolders(this.#deps.root);
    for (const folder of folders) {
      try {
        await this.#lookAt(folder, closed, signal);
      } catch (error) {
        if (isAbort(error, signal)) throw error;
        // Another one must not go unwatched for it; and it may just have been removed.
        const gone = (await folder.read()) === undefined;
        if (!gone) this.#deps.log.warn("a sandbox could not be looked at", { id: folder.id, error: String(error) });
      }
    }
    const there = new Set(folders.map(({ id }) => id));
    for (const map of [this.#closed, this.#allowed]) for (const id of map.keys()) if (!there.has(id)) map.delete(id);
    this.#deps.disk.keep(there);
  }

  async #lookAt(folder: SandboxFolder, closed: ClosedNetworks, signal: AbortSignal): Promise<void> {
    const record = await folder.read();
    if (record?.ready !== true || record.first === undefined || !(await isAlive(record.first))) return;
    if (await isFrozen(record, this.#deps.cgroups)) return;
    await this.#lookAtNetwork(folder, { record, closed }, signal);
    await this.#lookAtDisk(folder, record, signal);
  }

  async #lookAtNetwork(
    folder: SandboxFolder,
    { record, closed }: { readonly record: SandboxRecord; readonly closed: ClosedNetworks },
    signal: AbortSignal,
  ): Promise<void> {
    const where = inhabited(record);
    const wanted = JSON.stringify(closed);
    if (record.filter === undefined || where === undefined || this.#closed.get(folder.id) === wanted) return;
    try {
      // Looked at first: what is noted anew must not be what somebody has made of it.
      if ((await showFilter(where, this.#deps, signal)) !== record.filter) {
        await this.#freeze(folder, { record, reason: "its network filter was changed" }, signal);
        return;
      }
      const filter = await closeAgain(where, this.#deps, signal);
      await folder.write({ ...record, filter });
      this.#closed.set(folder.id, wanted);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      await this.#freeze(folder, { record, reason: "its network filter could not be brought up to date" }, signal);
    }
  }

  async #lookAtDisk(folder: SandboxFolder, record: SandboxRecord, signal: AbortSignal): Promise<void> {
    const limits = limitsOf(record);
    const { bytes, files } = await this.#deps.disk.of(folder, record, signal);
    if (bytes <= limits.bytes && files <= limits.files) {
      this.#allowed.delete(folder.id);
      return;
    }
    if (files <= limits.files && bytes <= (this.#allowed.get(folder.id) ?? 0)) return;
    this.#allowed.set(folder.id, bytes);
    const over =
      bytes > limits.bytes
        ? `${formatSize(bytes)} of ${formatSize(limits.bytes)}`
        : `${files} files of ${limits.files}`;
    await this.#freeze(folder, { record, reason: `disk quota: ${over} are used` }, signal);
  }

  async #freeze(
    folder: SandboxFolder,
    { record, reason }: { readonly record: SandboxRecord; readonly reason: string },
    signal: AbortSignal,
  ): Promise<void> {
    await freeze(record, true, { deps: this.#deps, signal });
    const now = (await folder.read()) ?? record;
    await folder.write({ ...now, frozenFor: reason });
    this.#deps.log.warn("a sandbox was frozen", { id: folder.id, reason });
    this.#deps.frozen(folder.id);
  }
}
