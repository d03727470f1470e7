/**
 * Inputs in a sandbox, by the hash of what is in them: each comes once, however many tasks want it. Those that nobody waits for
 * go when there are too many, the longest unused first.
 */

import { createHash, type Hash } from "node:crypto";
import { constants } from "node:fs";
import { copyFile, type FileHandle, open, readdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";

/** @param id of a task that waits for it */
export type AskForBlob = (sha256: string, id: number) => void;

interface Coming {
  /** By the id of their task. */
  readonly waiting: Map<number, PromiseWithResolvers<void>>;
  readonly hash: Hash;
  file: FileHandle | undefined;
  size: number;
}

/** Between its arrival and its use it may have had to make room. */
const MAX_COPIES = 3;

export class Blobs {
  readonly #folder: string;
  readonly #keepBytes: number;
  readonly #ask: AskForBlob;
  /** Their sizes; the longest unused comes first. */
  readonly #kept = new Map<string, number>();
  readonly #coming = new Map<string, Coming>();
  #bytes = 0;

  constructor(folder: string, keepBytes: number, ask: AskForBlob) {
    this.#folder = folder;
    this.#keepBytes = keepBytes;
    this.#ask = ask;
  }

  /** Finds what an earlier worker of the same job left. */
  async look(): Promise<void> {
    for (const name of await readdir(this.#folder)) {
      const path = join(this.#folder, name);
      if (/^[0-9a-f]{64}$/u.test(name)) this.#keep(name, (await stat(path)).size);
      else await rm(path, { force: true });
    }
  }

  /** Puts a copy at `path`, once the content is there: a task may change what it is given. */
  async copy(sha256: string, path: string, id: number): Promise<void> {
    for (let tried = 1; ; tried++) {
      if (!this.#kept.has(sha256)) await this.#wait(sha256, id);
      this.#keep(sha256, this.#kept.get(sha256) ?? 0);
      try {
        await copyFile(join(this.#folder, sha256), path, constants.COPYFILE_FICLONE);
        return;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "ENOENT" || tried === MAX_COPIES) throw error;
        this.#forget(sha256);
      }
    }
  }

  /** A task that does not wait any longer. */
  leave(id: number): void {
    for (const coming of this.#coming.values()) {
      coming.waiting.get(id)?.reject(new Error("cancelled"));
      coming.waiting.delete(id);
    }
  }

  /** Content that nobody waits for any more is dropped. */
  async put(sha256: string, piece: Uint8Array): Promise<void> {
    const coming = this.#coming.get(sha256);
    if (coming === undefined) return;
    try {
      coming.file ??= await open(this.#part(sha256), "w");
      await coming.file.writeFile(piece);
      coming.hash.update(piece);
      coming.size += piece.length;
    } catch (error) {
      await this.#giveUp(sha256, coming, error);
    }
  }

  async end(sha256: string): Promise<void> {
    await this.put(sha256, new Uint8Array()); // of an empty one nothing came so far
    const coming = this.#coming.get(sha256);
    if (coming === undefined) return;
    try {
      await coming.file?.close();
      if (coming.hash.digest("hex") !== sha256) throw new Error("an input did not arrive as it was sent");
      await rename(this.#part(sha256), join(this.#folder, sha256));
    } catch (error) {
      await this.#giveUp(sha256, coming, error);
      return;
    }
    this.#coming.delete(sha256);
    this.#keep(sha256, coming.size);
    for (const { resolve } of coming.waiting.values()) resolve();
    await this.#makeRoom(sha256);
  }

  /** It does not come, from where it was to come from; others may wait for the same from elsewhere. */
  async drop(sha256: string): Promise<void> {
    const coming = this.#coming.get(sha256);
    if (coming === undefined) return;
    this.#coming.delete(sha256);
    await coming.file?.close();
    const [first] = coming.waiting.keys();
    if (first === undefined) return;
    this.#coming.set(sha256, { ...begin(), waiting: coming.waiting });
    this.#ask(sha256, first);
  }

  #wait(sha256: string, id: number): Promise<void> {
    const there = this.#coming.get(sha256);
    const coming = there ?? { ...begin(), waiting: new Map() };
    const waiting = Promise.withResolvers<void>();
    coming.waiting.set(id, waiting);
    this.#coming.set(sha256, coming);
    if (there === undefined) this.#ask(sha256, id);
    return waiting.promise;
  }

  async #giveUp(sha256: string, coming: Coming, error: unknown): Promise<void> {
    this.#coming.delete(sha256);
    await coming.file?.close().catch(() => undefined); // closed already
    await rm(this.#part(sha256), { force: true });
    for (const { reject } of coming.waiting.values()) reject(error);
  }

  async #makeRoom(besides: string): Promise<void> {
    for (const sha256 of this.#kept.keys()) {
      if (this.#bytes <= this.#keepBytes) return;
      if (sha256 === besides) continue;
      this.#forget(sha256);
      await rm(join(this.#folder, sha256), { force: true });
    }
  }

  #keep(sha256: string, size: number): void {
    this.#forget(sha256);
    this.#kept.set(sha256, size);
    this.#bytes += size;
  }

  #forget(sha256: string): void {
    this.#bytes -= this.#kept.get(sha256) ?? 0;
    this.#kept.delete(sha256);
  }

  #part(sha256: string): string {
    return join(this.#folder, `${sha256}.part`);
  }
}

function begin(): Omit<Coming, "waiting"> {
  return { hash: createHash("sha256"), file: undefined, size: 0 };
}
