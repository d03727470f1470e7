/**
 * The parts of pushed images on the owner's disk, each under its digest, laid out as the OCI does. One that is on its way lies
 * apart, by guest, until all of it is there and is what its digest says.
 */

import { createHash, type Hash } from "node:crypto";
import { createReadStream } from "node:fs";
import { type FileHandle, mkdir, open, readdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { Failure, formatSize, type NodeId } from "../../core/index.ts";
import { diskFailure } from "../../store/index.ts";

export interface Piece {
  readonly guest: NodeId;
  readonly digest: string;
  readonly size: number;
  /** Where `body` begins. */
  readonly offset: number;
}

export class BlobStore {
  /** Has `blobs/sha256/` in it. */
  readonly folder: string;

  constructor(folder: string) {
    this.folder = folder;
  }

  pathOf(digest: string): string {
    return join(this.folder, "blobs", "sha256", hexOf(digest));
  }

  async has(digest: string, size: number): Promise<boolean> {
    return (await sizeOf(this.pathOf(digest))) === size;
  }

  /** How much of it came before. */
  async begun(guest: NodeId, digest: string): Promise<number> {
    return (await sizeOf(this.#partOf(guest, digest))) ?? 0;
  }

  /**
   * Takes bytes in until it is whole. What came before a link broke stays, and is gone on with.
   * @throws {Failure} conflict: it goes on elsewhere; bad-image, too-large, link-lost, disk-full
   */
  async write(piece: Piece, body: Readable, note: (bytes: number) => void): Promise<void> {
    const { guest, digest, size, offset } = piece;
    const part = this.#partOf(guest, digest);
    try {
      await mkdir(join(this.folder, "blobs", "sha256"), { recursive: true, mode: 0o700 });
      await mkdir(join(part, ".."), { recursive: true, mode: 0o700 });
      const have = await this.begun(guest, digest);
      if (offset !== have)
        throw new Failure("conflict", `${formatSize(have)} of that part are here: go on behind them`);
      const hash = await hashOf(part, have);
      await using file = await open(part, "a", 0o600);
      const got = await append(file, { body, hash, have, size, note });
      if (got < size) throw new Failure("link-lost", "the part ended in the middle");
      if (got > size) throw new Failure("too-large", `the part has more than the ${size} bytes that were spoken of`);
      if (`sha256:${hash.digest("hex")}` !== digest)
        throw new Failure("bad-image", `a part of the image is not what its digest says: ${digest}`);
      await file.sync();
      await rename(part, this.pathOf(digest));
    } catch (error) {
      if (error instanceof Failure && (error.code === "bad-image" || error.code === "too-large"))
        await this.forgetPart(guest, digest);
      throw diskFailure(error, this.folder) ?? error;
    }
  }

  /** A list, which comes in one piece. */
  async save(guest: NodeId, digest: string, bytes: Buffer): Promise<void> {
    await this.forgetPart(guest, digest);
    await this.write({ guest, digest, size: bytes.length, offset: 0 }, Readable.from([bytes]), () => undefined);
  }

  read(digest: string): Readable {
    return createReadStream(this.pathOf(digest));
  }

  async forgetPart(guest: NodeId, digest: string): Promise<void> {
    await rm(this.#partOf(guest, digest), { force: true });
  }

  async forget(digest: string): Promise<void> {
    await rm(this.pathOf(digest), { force: true });
  }

  /** Removes whatever `keeps` says no of: what a kill left, or somebody laid there. */
  async sweep(keeps: { whole(digest: string): boolean; begun(guest: string, digest: string): boolean }): Promise<void> {
    for (const hex of await namesIn(join(this.folder, "blobs", "sha256")))
      if (!keeps.whole(`sha256:${hex}`)) await rm(join(this.folder, "blobs", "sha256", hex), { force: true });
    for (const guest of await namesIn(join(this.folder, "parts")))
      for (const hex of await namesIn(join(this.folder, "parts", guest)))
        if (!keeps.begun(guest, `sha256:${hex}`)) await rm(join(this.folder, "parts", guest, hex), { force: true });
  }

  #partOf(guest: NodeId, digest: string): string {
    return join(this.folder, "parts", guest, hexOf(digest));
  }
}

interface Appending {
  readonly body: Readable;
  readonly hash: Hash;
  readonly have: number;
  readonly size: number;
  readonly note: (bytes: number) => void;
}

/** @returns how much there is then; more than `size` is not written */
async function append(file: FileHandle, { body, hash, have, size, note }: Appending): Promise<number> {
  let got = have;
  let failed: Error | undefined;
  try {
    for await (const bytes of body as AsyncIterable<Buffer>) {
      got += bytes.length;
      if (got > size) break;
      hash.update(bytes);
      await writeAll(file, bytes).catch((error: Error) => {
        failed = error;
      });
      if (failed !== undefined) break;
      note(got);
    }
  } catch {
    // The sender broke off. All may be here all the same: then that is no loss.
  }
  if (failed !== undefined) throw failed;
  return got;
}

async function writeAll(file: FileHandle, bytes: Buffer): Promise<void> {
  for (let at = 0; at < bytes.length; ) at += (await file.write(bytes, at)).bytesWritten;
}

async function hashOf(path: string, size: number): Promise<Hash> {
  const hash = createHash("sha256");
  if (size === 0) return hash;
  for await (const bytes of createReadStream(path) as AsyncIterable<Buffer>) hash.update(bytes);
  return hash;
}

async function sizeOf(path: string): Promise<number | undefined> {
  return await stat(path).then(
    (found) => (found.isFile() ? found.size : undefined),
    () => undefined, // not there
  );
}

async function namesIn(folder: string): Promise<readonly string[]> {
  return await readdir(folder).catch(() => []); // nothing was ever pushed
}

function hexOf(digest: string): string {
  return digest.slice("sha256:".length);
}
