/** Who pushed which parts and which images here, on disk; and what of that was handed to the runtime. */

import type { DatabaseSync } from "node:sqlite";
import type { NodeId } from "../../core/index.ts";
import { inTransaction, migrate } from "../../store/index.ts";
import type { HeldImage } from "./contract.ts";

const STEPS = [
  `CREATE TABLE image_parts (
     guest TEXT NOT NULL, digest TEXT NOT NULL, size INTEGER NOT NULL, whole INTEGER NOT NULL, touched INTEGER NOT NULL,
     PRIMARY KEY (guest, digest)) STRICT;
   CREATE TABLE image_images (
     guest TEXT NOT NULL, name TEXT NOT NULL, digest TEXT NOT NULL, config TEXT NOT NULL, parts TEXT NOT NULL,
     bytes INTEGER NOT NULL, layers INTEGER NOT NULL, pushed INTEGER NOT NULL, PRIMARY KEY (guest, name)) STRICT;
   CREATE TABLE image_used (digest TEXT PRIMARY KEY, config TEXT NOT NULL) STRICT;`,
];

export interface PartRow {
  readonly guest: NodeId;
  readonly digest: string;
  readonly size: number;
  readonly whole: boolean;
  /** Wall time when it was last asked for or written. */
  readonly touched: number;
}

export interface ImageRow extends HeldImage {
  readonly guest: NodeId;
  readonly config: string;
  /** All digests that it needs, its own too. */
  readonly parts: readonly string[];
}

export interface UsedImage {
  readonly digest: string;
  readonly config: string;
}

export class ImageBook {
  readonly #database: DatabaseSync;

  constructor(database: DatabaseSync) {
    migrate(database, "image", STEPS);
    this.#database = database;
  }

  part(guest: NodeId, digest: string): PartRow | undefined {
    const row = this.#database.prepare("SELECT * FROM image_parts WHERE guest = ? AND digest = ?").get(guest, digest);
    return row === undefined ? undefined : partOf(row);
  }

  get parts(): readonly PartRow[] {
    return this.#database.prepare("SELECT * FROM image_parts").all().map(partOf);
  }

  partsOf(guest: NodeId): readonly PartRow[] {
    return this.#database.prepare("SELECT * FROM image_parts WHERE guest = ?").all(guest).map(partOf);
  }

  /** Those that are on their way too. */
  bytes(guest: NodeId): number {
    return this.partsOf(guest).reduce((bytes, { size }) => bytes + size, 0);
  }

  /** @throws {Failure} disk-full */
  putPart({ guest, digest, size, whole, touched }: PartRow): void {
    this.#write("INSERT OR REPLACE INTO image_parts VALUES (?, ?, ?, ?, ?)", [
      guest,
      digest,
      size,
      whole ? 1 : 0,
      touched,
    ]);
  }

  dropPart(guest: NodeId, digest: string): void {
    this.#write("DELETE FROM image_parts WHERE guest = ? AND digest = ?", [guest, digest]);
  }

  /** Oldest first. */
  get images(): readonly ImageRow[] {
    return this.#database.prepare("SELECT * FROM image_images ORDER BY pushed").all().map(imageOf);
  }

  imagesOf(guest: NodeId): readonly ImageRow[] {
    return this.images.filter((image) => image.guest === guest);
  }

  /** @throws {Failure} disk-full */
  putImage({ guest, name, digest, config, parts, bytes, layers, pushed }: ImageRow): void {
    const values = [guest, name, digest, config, JSON.stringify(parts), bytes, layers, pushed];
    this.#write("INSERT OR REPLACE INTO image_images VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values);
  }

  dropImage(guest: NodeId, name: string): void {
    this.#write("DELETE FROM image_images WHERE guest = ? AND name = ?", [guest, name]);
  }

  get used(): readonly UsedImage[] {
    const rows = this.#database.prepare("SELECT * FROM image_used").all();
    return rows.map(({ digest, config }) => ({ digest: String(digest), config: String(config) }));
  }

  putUsed({ digest, config }: UsedImage): void {
    this.#write("INSERT OR REPLACE INTO image_used VALUES (?, ?)", [digest, config]);
  }

  dropUsed(digest: string): void {
    this.#write("DELETE FROM image_used WHERE digest = ?", [digest]);
  }

  #write(statement: string, values: readonly (string | number)[]): void {
    inTransaction(this.#database, () => this.#database.prepare(statement).run(...values));
  }
}

/** What we wrote ourselves: read back as it was. */
function partOf({ guest, digest, size, whole, touched }: Record<string, unknown>): PartRow {
  return {
    guest: guest as NodeId,
    digest: String(digest),
    size: Number(size),
    whole: whole === 1,
    touched: Number(touched),
  };
}

function imageOf(row: Record<string, unknown>): ImageRow {
  return {
    guest: row["guest"] as NodeId,
    name: String(row["name"]),
    digest: String(row["digest"]),
    config: String(row["config"]),
    parts: JSON.parse(String(row["parts"])) as string[],
    bytes: Number(row["bytes"]),
    layers: Number(row["layers"]),
    pushed: Number(row["pushed"]),
  };
}
