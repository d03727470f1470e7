/**
 * The images that guests push to this node: taken in part by part, each under its digest, and admitted once all is there.
 *
 * Each guest sees and uses their own alone. Equal parts lie on the disk once, but each guest has to send what they want to
 * have: who knows a digest does not have what is behind it. All of it counts as the guest's disk.
 */

import type { DatabaseSync } from "node:sqlite";
import type { Readable } from "node:stream";
import type { Clock, Log } from "../../base/index.ts";
import { Failure, type Grant, type NodeId } from "../../core/index.ts";
import type { Guest } from "../lease/house.ts";
import { spelledOut } from "../lease/image-list.ts";
import type { Lease } from "../lease/lease.ts";
import type { PushedImage, Runtime } from "../runtime/runtime.ts";
import { BlobStore } from "./blob-store.ts";
import { checkLayers } from "./check-layers.ts";
import type { AdmitProgress, AdmitRequest, BlobQuery, HeldImage, MissingReply } from "./contract.ts";
import { ImageBook, type ImageRow, type PartRow } from "./image-book.ts";
import { ImageQuota, type ImageQuotaDeps, type ImageQuotaOptions } from "./image-quota.ts";
import { type Manifest, partsOf, readDiffIds, readManifest } from "./manifest.ts";

export interface PushedImagesDeps extends Omit<ImageQuotaDeps, "book"> {
  /** `<home>/images` */
  readonly folder: string;
  readonly database: DatabaseSync;
  readonly grantOf: (id: NodeId) => Grant | undefined;
  readonly runtime: Pick<Runtime, "forgetImage">;
  readonly clock: Clock;
  readonly log: Log;
}

/** Of one guest at the same time. */
const MAX_CHECKING = 2;
/** Parts that no image names: a push may go on after a night. */
const FORGET_AFTER_MS = 24 * 3_600_000;
const SWEEP_EVERY_MS = 10 * 60_000;

interface Writing {
  readonly guest: NodeId;
  readonly body: Readable;
  readonly done: Promise<unknown>;
}

export class PushedImages {
  readonly #deps: PushedImagesDeps;
  readonly #quota: ImageQuota;
  readonly #book: ImageBook;
  readonly #store: BlobStore;
  readonly #writing = new Map<string, Writing>();
  readonly #checking = new Map<NodeId, number>();

  constructor(deps: PushedImagesDeps, options: ImageQuotaOptions = {}) {
    this.#deps = deps;
    this.#book = new ImageBook(deps.database);
    this.#quota = new ImageQuota({ ...deps, book: this.#book }, options);
    // Beside the owner's own archives, under a name that is none of an image.
    this.#store = new BlobStore(`${deps.folder}/.pushed`);
  }

  /** Oldest first. */
  of(guest: NodeId): readonly HeldImage[] {
    return this.#book.imagesOf(guest).map(held);
  }

  /** What they have here counts as their disk. */
  bytes(guest: NodeId): number {
    return this.#book.bytes(guest);
  }

  find(guest: NodeId, name: string | null | undefined): PushedImage | undefined {
    if (name === undefined || name === null) return undefined;
    const wanted = spelledOut(name);
    const found = this.#book.imagesOf(guest).find((image) => image.name === wanted);
    return found === undefined ? undefined : this.#asPushed(found);
  }

  /** Of a lease, for which the runtime is about to use it: from now on it knows of it. @throws {Failure} not-found */
  use({ guest, image, pushed }: Lease): PushedImage | undefined {
    if (pushed === undefined) return undefined;
    const row = this.#book.imagesOf(guest).find(({ digest }) => digest === pushed);
    if (row === undefined) throw new Failure("not-found", `the image "${image}" has been removed meanwhile`);
    this.#book.putUsed(row);
    return this.#asPushed(row);
  }

  async missing(guest: NodeId, digests: readonly string[]): Promise<MissingReply> {
    const missing: MissingReply["missing"] = [];
    for (const digest of new Set(digests)) {
      const row = this.#book.part(guest, digest);
      if (row !== undefined) this.#book.putPart({ ...row, touched: this.#deps.clock.wallTime() });
      if (row?.whole === true && (await this.#store.has(digest, row.size))) continue;
      missing.push({ digest, have: row === undefined ? 0 : await this.#store.begun(guest, digest) });
    }
    return { missing };
  }

  /**
   * Takes a part in. The same part again takes over from an earlier try whose link may be dead.
   * @throws {Failure} not-allowed, busy, too-large, conflict, bad-image, disk-full, link-lost
   */
  async put(
    guest: Guest,
    { digest, size, offset, body, note }: BlobQuery & { digest: string; body: Readable; note: (bytes: number) => void },
  ): Promise<void> {
    const key = `${guest.id} ${digest}`;
    for (let before = this.#writing.get(key); before !== undefined; before = this.#writing.get(key)) {
      before.body.destroy();
      await before.done;
    }
    const known = this.#book.part(guest.id, digest);
    if (known?.whole === true && (await this.#store.has(digest, known.size))) return;
    if (this.#writing.has(key)) throw new Failure("busy", "that part is being sent already");
    this.#quota.part(guest, { digest, size }, this.#writingOf(guest.id));
    const row: PartRow = { guest: guest.id, digest, size, whole: false, touched: this.#deps.clock.wallTime() };
    this.#book.putPart(row);
    const work = this.#store.write({ guest: guest.id, digest, size, offset }, body, note);
    const { promise: done, resolve } = Promise.withResolvers<void>();
    this.#writing.set(key, { guest: guest.id, body, done });
    try {
      await work;
      this.#book.putPart({ ...row, whole: true });
    } catch (error) {
      if ((await this.#store.begun(guest.id, digest)) === 0) this.#book.dropPart(guest.id, digest);
      throw error;
    } finally {
      this.#writing.delete(key);
      resolve();
    }
  }

  /** @throws {Failure} not-allowed, bad-image, too-large, busy, not-found: a part is missing */
  async admit(
    guest: Guest,
    { name, manifest: text, note }: AdmitRequest & { note: (progress: AdmitProgress) => void },
    signal: AbortSignal,
  ): Promise<HeldImage> {
    const checking = this.#checking.get(guest.id) ?? 0;
    if (checking >= MAX_CHECKING) throw new Failure("busy", `${checking} images of yours are being checked already`);
    this.#checking.set(guest.id, checking + 1);
    try {
      return await this.#admit(guest, { name, bytes: Buffer.from(text), note }, signal);
    } finally {
      const left = (this.#checking.get(guest.id) ?? 1) - 1;
      if (left > 0) this.#checking.set(guest.id, left);
      else this.#checking.delete(guest.id);
    }
  }

  /** What it was. Sandboxes that were made of it go on. @throws {Failure} not-found */
  async remove(guest: NodeId, name: string, signal: AbortSignal): Promise<HeldImage> {
    const wanted = spelledOut(name);
    const found = this.#book.imagesOf(guest).find((image) => image.name === wanted);
    if (found === undefined)
      throw new Failure("not-found", `you have no image "${name}" there`, { hint: "`p2prc image ls` lists them" });
    this.#book.dropImage(guest, wanted);
    const needed = this.#needed(guest);
    for (const digest of found.parts) if (!needed.has(digest)) this.#book.dropPart(guest, digest);
    await this.#sweepFiles();
    await this.#forgetUnused(signal);
    return held(found);
  }

  /** Removes what nobody names any more, until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.sweep(signal);
      await this.#deps.clock.sleep(SWEEP_EVERY_MS, signal);
    }
  }

  async sweep(signal: AbortSignal): Promise<void> {
    const { grantOf, clock, log } = this.#deps;
    const late = clock.wallTime() - FORGET_AFTER_MS;
    try {
      for (const { guest, name } of this.#book.images)
        if (grantOf(guest) === undefined) this.#book.dropImage(guest, name);
      for (const { guest, digest, touched } of this.#book.parts) {
        const over = grantOf(guest) === undefined || (touched < late && !this.#needed(guest).has(digest));
        if (over && !this.#writing.has(`${guest} ${digest}`)) this.#book.dropPart(guest, digest);
      }
      await this.#sweepFiles();
      await this.#forgetUnused(signal);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      log.warn("images that nobody names any more could not be removed", { why: error.message });
    }
  }

  async #admit(
    guest: Guest,
    { name, bytes, note }: { name: string; bytes: Buffer; note: (progress: AdmitProgress) => void },
    signal: AbortSignal,
  ): Promise<HeldImage> {
    const wanted = this.#quota.name(guest, name);
    const manifest = readManifest(bytes);
    await this.#refuseMissing(guest.id, manifest);
    const parts = partsOf(manifest);
    const whole = parts.reduce((sum, { size }) => sum + size, bytes.length);
    this.#quota.image(whole);
    const diffIds = readDiffIds(await readAll(this.#store.read(manifest.config.digest)), manifest.layers.length);
    const { layers, digest } = manifest;
    const told = (done: number) => note({ layers: { done, all: layers.length } });
    await checkLayers(
      { folder: this.#store.folder, layers, diffIds, maxBytes: this.#quota.unpacked(guest), note: told },
      signal,
    );
    if (this.#book.part(guest.id, digest)?.whole !== true) {
      this.#quota.part(guest, { digest, size: bytes.length }, this.#writingOf(guest.id));
      await this.#store.save(guest.id, digest, bytes);
    }
    // The parts may have been swept while the layers were looked at.
    await this.#refuseMissing(guest.id, manifest);
    const pushed = Math.round(this.#deps.clock.wallTime());
    this.#book.putPart({ guest: guest.id, digest, size: bytes.length, whole: true, touched: pushed });
    const row: ImageRow = {
      ...{ guest: guest.id, name: wanted, digest, config: manifest.config.digest, bytes: whole, pushed },
      layers: layers.length,
      parts: [digest, ...parts.map((part) => part.digest)],
    };
    this.#quota.name(guest, name);
    this.#book.putImage(row);
    this.#deps.log.info("image pushed", { guest: guest.id, name: wanted, digest, bytes: whole });
    return held(row);
  }

  /** @throws {Failure} not-found, bad-image */
  async #refuseMissing(guest: NodeId, manifest: Manifest): Promise<void> {
    for (const { digest, size } of partsOf(manifest)) {
      const row = this.#book.part(guest, digest);
      if (row?.whole !== true || !(await this.#store.has(digest, row.size)))
        throw new Failure("not-found", `a part of the image is missing: ${digest}`, { hint: "push it again" });
      if (row.size !== size)
        throw new Failure("bad-image", `the list speaks of ${size} bytes, and the part has ${row.size}: ${digest}`);
    }
  }

  #writingOf(id: NodeId): number {
    return [...this.#writing.values()].filter(({ guest }) => guest === id).length;
  }

  #needed(guest: NodeId): ReadonlySet<string> {
    return new Set(this.#book.imagesOf(guest).flatMap(({ parts }) => parts));
  }

  async #sweepFiles(): Promise<void> {
    const rows = this.#book.parts;
    const whole = new Set(rows.map(({ digest }) => digest));
    const begun = new Set(rows.map(({ guest, digest }) => `${guest} ${digest}`));
    await this.#store.sweep({
      whole: (digest) => whole.has(digest),
      begun: (guest, digest) => begun.has(`${guest} ${digest}`),
    });
  }

  /** What the runtime made of images that nobody has any more, once no sandbox uses it. */
  async #forgetUnused(signal: AbortSignal): Promise<void> {
    const { leases, runtime } = this.#deps;
    const named = new Set(this.#book.images.map(({ digest }) => digest));
    const held = new Set(leases().flatMap(({ pushed }) => pushed ?? []));
    for (const image of this.#book.used) {
      if (named.has(image.digest) || held.has(image.digest)) continue;
      await runtime.forgetImage?.(this.#asPushed(image), signal);
      this.#book.dropUsed(image.digest);
    }
  }

  #asPushed({ digest, config }: Pick<ImageRow, "digest" | "config">): PushedImage {
    return { digest, config, folder: this.#store.folder };
  }
}

function held({ name, digest, bytes, layers, pushed }: ImageRow): HeldImage {
  return { name, digest, bytes, layers, pushed };
}

async function readAll(content: Readable): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of content as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
}
