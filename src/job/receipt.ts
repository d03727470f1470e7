/**
 * What comes of one attempt, on its way to its place: outputs under a temporary name beside it, what was printed in memory, or
 * when it is long in the folder of the job. Nothing has its final name before all of it is here and compared.
 */

import { createHash, type Hash } from "node:crypto";
import { appendFile, type FileHandle, mkdir, open, rename, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { failureHere } from "./failure-here.ts";

export interface ReceiptPlaces {
  /** Final ones of outputs, absolute. */
  readonly outs: readonly string[];
  /** Marks temporary files: of this job, this task, this attempt. */
  readonly mark: string;
  /** Where what it prints is kept: followed by `.out` and `.err`. */
  readonly text: string;
  /** Of one output. */
  readonly maxBytes: number;
}

export type Printed = "stdout" | "stderr";

/** Of what a task prints: more is not kept. */
const MAX_TEXT_BYTES = 64 * 2 ** 20;
/** So much is held in memory before it goes to a file. */
const TEXT_BUFFER_BYTES = 64 * 1024;
/** Of the end of stderr, for a message. */
const TAIL_BYTES = 2 * 1024;

interface Text {
  pieces: Buffer[];
  held: number;
  bytes: number;
  /** Whether a part of it is in the file. */
  spilt: boolean;
}

interface Incoming {
  readonly file: FileHandle;
  readonly hash: Hash;
  size: number;
}

/** The sandbox sent what it must not, or not what it said. */
export class BadDelivery extends Error {}

/** What the next task need not meet: they are about a place, not about this machine. */
const OF_ONE_PATH = new Set(["EISDIR", "ENAMETOOLONG", "ENOTDIR", "ELOOP"]);

export class Receipt {
  readonly #places: ReceiptPlaces;
  readonly #text: Record<Printed, Text> = { stdout: noText(), stderr: noText() };
  readonly #incoming = new Map<number, Incoming>();
  readonly #sizes = new Map<number, number>();
  #tail = Buffer.alloc(0);

  constructor(places: ReceiptPlaces) {
    this.#places = places;
  }

  get bytes(): number {
    return [...this.#sizes.values()].reduce((all, size) => all + size, 0);
  }

  get sizes(): readonly number[] {
    return this.#places.outs.map((_, out) => this.#sizes.get(out) ?? 0);
  }

  /** The last lines of stderr. */
  get lastWords(): readonly string[] {
    return this.#tail.toString("utf8").trimEnd().split("\n").slice(-3);
  }

  /** @throws {Failure} disk-full, … */
  async print(from: Printed, piece: Buffer): Promise<void> {
    if (from === "stderr") this.#tail = Buffer.concat([this.#tail, piece]).subarray(-TAIL_BYTES);
    const text = this.#text[from];
    const kept = Buffer.from(piece.subarray(0, Math.max(0, MAX_TEXT_BYTES - text.bytes)));
    text.bytes += piece.length;
    text.held += kept.length;
    text.pieces.push(kept);
    if (text.held > TEXT_BUFFER_BYTES) await this.#spill(from);
  }

  /** @throws {Failure} disk-full, … @throws {BadDelivery} */
  async piece(out: number, piece: Buffer): Promise<void> {
    const incoming = await this.#begin(out);
    incoming.size += piece.length;
    if (incoming.size > this.#places.maxBytes)
      throw new BadDelivery(`its output ${this.#name(out)} has over ${this.#places.maxBytes} bytes`);
    incoming.hash.update(piece);
    await this.#here(out, () => incoming.file.writeFile(piece));
  }

  /** @throws {Failure} disk-full, … @throws {BadDelivery} */
  async end(out: number, told: { readonly size: number; readonly sha256: string }): Promise<void> {
    const incoming = await this.#begin(out); // of an empty one nothing came so far
    this.#incoming.delete(out);
    await this.#here(out, async () => {
      await incoming.file.datasync();
      await incoming.file.close();
    });
    if (incoming.size !== told.size || incoming.hash.digest("hex") !== told.sha256)
      throw new BadDelivery(`its output ${this.#name(out)} did not arrive as it was sent`);
    this.#sizes.set(out, incoming.size);
  }

  /** Whether all outputs are here. */
  get complete(): boolean {
    return this.#sizes.size === this.#places.outs.length;
  }

  /** @throws {Failure} */
  async commit(): Promise<void> {
    for (const [out, path] of this.#places.outs.entries())
      await this.#here(out, () => rename(this.#temporary(out), path));
    await this.keepText();
  }

  /** Of one that failed too. @throws {Failure} */
  async keepText(): Promise<void> {
    for (const from of ["stdout", "stderr"] as const) {
      const text = this.#text[from];
      if (text.spilt) {
        await this.#spill(from);
        await this.#try(this.#textPath(from), () => rename(this.#spillPath(from), this.#textPath(from)));
      } else if (text.held > 0)
        await this.#writeText(from, (path) => writeFile(path, Buffer.concat(text.pieces), MODE));
    }
  }

  /** Leaves nothing behind but what was committed. */
  async discard(): Promise<void> {
    for (const { file } of this.#incoming.values()) await file.close().catch(() => undefined); // it has failed before
    for (const out of this.#places.outs.keys()) await rm(this.#temporary(out), { force: true }).catch(() => undefined);
    for (const from of ["stdout", "stderr"] as const)
      if (this.#text[from].spilt) await rm(this.#spillPath(from), { force: true });
  }

  async #begin(out: number): Promise<Incoming> {
    const there = this.#incoming.get(out);
    if (there !== undefined) return there;
    if (this.#places.outs[out] === undefined || this.#sizes.has(out))
      throw new BadDelivery("it sent what nobody asked for");
    const path = this.#temporary(out);
    const file = await this.#here(out, async () => {
      await mkdir(dirname(path), { recursive: true });
      return await open(path, "w");
    });
    const incoming = { file, hash: createHash("sha256"), size: 0 };
    this.#incoming.set(out, incoming);
    return incoming;
  }

  async #spill(from: Printed): Promise<void> {
    const text = this.#text[from];
    const pieces = Buffer.concat(text.pieces);
    text.pieces = [];
    text.held = 0;
    text.spilt = true;
    await this.#writeText(from, () => appendFile(this.#spillPath(from), pieces, MODE));
  }

  async #writeText(from: Printed, write: (path: string) => Promise<void>): Promise<void> {
    const path = this.#textPath(from);
    await this.#try(path, async () => {
      await mkdir(dirname(path), { recursive: true, mode: 0o700 });
      await write(path);
    });
  }

  async #here<T>(out: number, work: () => Promise<T>): Promise<T> {
    try {
      return await this.#try(this.#places.outs[out] ?? "", work);
    } catch (error) {
      const { cause } = error as { readonly cause?: { readonly code?: string } };
      if (!OF_ONE_PATH.has(cause?.code ?? "")) throw error;
      throw new BadDelivery(`its output ${(error as Error).message}`);
    }
  }

  async #try<T>(path: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw failureHere(error, path);
    }
  }

  #name(out: number): string {
    return basename(this.#places.outs[out] ?? "");
  }

  #temporary(out: number): string {
    const path = this.#places.outs[out] ?? "";
    return join(dirname(path), `.${basename(path).slice(0, 48)}.${this.#places.mark}-${out}.part`); // a name may have 255 bytes
  }

  #textPath(from: Printed): string {
    return `${this.#places.text}.${from === "stdout" ? "out" : "err"}`;
  }

  #spillPath(from: Printed): string {
    return `${this.#textPath(from)}.${this.#places.mark}`;
  }
}

/** For its person alone. */
const MODE = { mode: 0o600 };

function noText(): Text {
  return { pieces: [], held: 0, bytes: 0, spilt: false };
}
