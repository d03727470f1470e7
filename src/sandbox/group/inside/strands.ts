/**
 * What goes between the guest's daemon and the gate in a sandbox: connections side by side on one byte stream, each a strand.
 *
 * One byte of kind, four of the strand, four of length, the content. Who sends data on a strand may have WINDOW_BYTES of it under way;
 * the other end gives room again (`room`) as it is taken. So no strand waits for another, and nobody holds more than windows.
 *
 * This file and those beside it run inside, sent along as source: they import node: and each other only.
 */

/**
 * plan (JSON, to the gate), report (JSON, from it). On a strand: open (who is meant, `encodeTarget`), data, end (one way is over),
 * broken (both are), room (how many bytes, four bytes).
 */
export const strandKinds = { plan: 1, report: 2, open: 3, data: 4, end: 5, broken: 6, room: 7 } as const;
export type StrandKind = keyof typeof strandKinds;

export interface Piece {
  readonly kind: StrandKind;
  readonly strand: number;
  readonly content: Buffer;
}

/** To the gate: what it listens for, and where what is its own is reached. Again after each change; without neighbours: leave no traces. */
export interface Plan {
  readonly number: number;
  /** Marks what is written into /etc/hosts. */
  readonly mark: string;
  readonly own: { readonly address: string; readonly name: string };
  readonly neighbours: readonly Neighbour[];
}

export interface Neighbour {
  readonly place: number;
  readonly address: string;
  readonly name: string;
  readonly ports: readonly number[];
  /** Those that no other member has: they lead to it from 127.0.0.1, too, for programs that know no other address than that. */
  readonly alone: readonly number[];
}

/** From the gate, after a plan and whenever it changes. */
export interface Report {
  /** Which plan it follows. */
  readonly plan: number;
  /** Whether the names of all are known inside. */
  readonly names: boolean;
  /** Ports of neighbours that something else inside has taken: some of them, and how many they are. */
  readonly taken: readonly { readonly place: number; readonly port: number; readonly why: string }[];
  readonly takenCount: number;
}

/** A connection over half of the world at 50 ms carries 5 MB/s; a thousand that nobody reads hold 256 MiB. */
export const WINDOW_BYTES = 256 * 1024;
export const MAX_CONTENT_BYTES = 64 * 1024;
/** Strands that begin outside; those that a gate begins are below. */
export const FROM_OUTSIDE = 2 ** 31;
const HEAD_BYTES = 9;
const names = new Map<number, StrandKind>(
  Object.entries(strandKinds).map(([name, byte]) => [byte, name as StrandKind]),
);

export function encodePiece(kind: StrandKind, strand: number, content: Uint8Array | string = ""): Buffer {
  const bytes = typeof content === "string" ? Buffer.from(content) : content;
  if (bytes.length > MAX_CONTENT_BYTES) throw new RangeError("too long a piece");
  const piece = Buffer.allocUnsafe(HEAD_BYTES + bytes.length);
  piece.writeUInt8(strandKinds[kind], 0);
  piece.writeUInt32BE(strand, 1);
  piece.writeUInt32BE(bytes.length, 5);
  piece.set(bytes, HEAD_BYTES);
  return piece;
}

/** Which port of whom. */
export interface Target {
  readonly place: number;
  readonly port: number;
}

export function encodeTarget({ place, port }: Target): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt16BE(place, 0);
  bytes.writeUInt16BE(port, 2);
  return bytes;
}

/** @throws {RangeError} */
export function decodeTarget(bytes: Buffer): Target {
  return { place: bytes.readUInt16BE(0), port: bytes.readUInt16BE(2) };
}

export function encodeRoom(count: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(count, 0);
  return bytes;
}

/** Cuts a stream of bytes into pieces, however it arrives. */
export class PieceReader {
  #rest: Buffer = Buffer.alloc(0);

  /** @throws {RangeError} what came is none: give the stream up */
  *take(bytes: Uint8Array): IterableIterator<Piece> {
    this.#rest = this.#rest.length === 0 ? Buffer.from(bytes) : Buffer.concat([this.#rest, bytes]);
    while (this.#rest.length >= HEAD_BYTES) {
      const kind = names.get(this.#rest.readUInt8(0));
      const length = this.#rest.readUInt32BE(5);
      if (kind === undefined || length > MAX_CONTENT_BYTES) throw new RangeError("not a piece");
      if (this.#rest.length < HEAD_BYTES + length) return;
      const strand = this.#rest.readUInt32BE(1);
      const content = this.#rest.subarray(HEAD_BYTES, HEAD_BYTES + length);
      this.#rest = this.#rest.subarray(HEAD_BYTES + length);
      yield { kind, strand, content };
    }
  }
}
