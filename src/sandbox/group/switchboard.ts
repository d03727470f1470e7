/**
 * Joins the strands of a tunnel's members: what one opens to a port of another is opened there, and what is said on it is passed on.
 * Nothing is kept here but what is under way, which the windows of `strands.ts` bound; who sends more than there is room for is let go.
 */

import {
  decodeTarget,
  encodePiece,
  encodeRoom,
  encodeTarget,
  FROM_OUTSIDE,
  type Piece,
  type Target,
  WINDOW_BYTES,
} from "./inside/strands.ts";

export interface SwitchboardDeps {
  /** Whether that port of that member is carried. */
  readonly carries: (target: Target) => boolean;
}

export interface SwitchboardOptions {
  /** At once; with their windows full they hold 128 MiB each way. @default 512 */
  readonly maxConnections?: number;
}

/** Of one port of one member. */
export interface Traffic extends Target {
  readonly open: number;
  readonly total: number;
  /** Both ways. */
  readonly bytes: number;
}

interface Member {
  readonly say: (piece: Buffer) => void;
  readonly ends: Map<number, End>;
}

interface End {
  readonly place: number;
  readonly strand: number;
  readonly traffic: Counts;
  /** How much may still come from here. */
  room: number;
  /** Its way is over. */
  over: boolean;
  other: End;
}

type Counts = { -readonly [K in keyof Traffic]: Traffic[K] };

export class Switchboard {
  readonly #deps: SwitchboardDeps;
  readonly #maxConnections: number;
  readonly #members = new Map<number, Member>();
  readonly #traffic = new Map<string, Counts>();
  #open = 0;
  #refused = 0;
  #lastStrand = 0;

  constructor(deps: SwitchboardDeps, { maxConnections = 512 }: SwitchboardOptions = {}) {
    this.#deps = deps;
    this.#maxConnections = maxConnections;
  }

  get traffic(): readonly Traffic[] {
    return [...this.#traffic.values()];
  }

  /** How many are open, and how many found nobody, or no room. */
  get connections(): { readonly open: number; readonly refused: number } {
    return { open: this.#open, refused: this.#refused };
  }

  join(place: number, say: (piece: Buffer) => void): void {
    this.leave(place);
    this.#members.set(place, { say, ends: new Map() });
  }

  /** Its connections break, as when a machine goes away. */
  leave(place: number): void {
    const member = this.#members.get(place);
    for (const end of [...(member?.ends.values() ?? [])]) this.#breakFrom(end);
    this.#members.delete(place);
  }

  /** @throws {RangeError} that makes no sense: let go of the member */
  take(place: number, { kind, strand, content }: Piece): void {
    const member = this.#members.get(place);
    if (member === undefined) return;
    if (kind === "open") {
      this.#begin(place, strand, decodeTarget(content));
      return;
    }
    if (kind === "plan" || kind === "report") throw new RangeError("not for a strand");
    const end = member.ends.get(strand);
    if (end === undefined) return; // it broke, and that is on its way there
    if (kind === "data") this.#pass(end, content);
    else if (kind === "room") this.#giveRoom(end, content.readUInt32BE(0));
    else if (kind === "end") this.#passEnd(end);
    else this.#breakFrom(end);
  }

  #begin(place: number, strand: number, target: Target): void {
    const from = this.#members.get(place);
    const to = this.#members.get(target.place);
    if (from?.ends.has(strand) === true || strand >= FROM_OUTSIDE) throw new RangeError("not a new strand");
    const isFree = this.#open < this.#maxConnections && target.place !== place && this.#deps.carries(target);
    if (from === undefined || to === undefined || !isFree) {
      this.#refused++;
      from?.say(encodePiece("broken", strand));
      return;
    }
    const traffic = this.#countsOf(target);
    const near = { place, strand, traffic, room: WINDOW_BYTES, over: false } as End;
    const far = { ...near, place: target.place, strand: this.#freshStrand(to), other: near };
    near.other = far;
    from.ends.set(strand, near);
    to.ends.set(far.strand, far);
    this.#open++;
    traffic.open++;
    traffic.total++;
    to.say(encodePiece("open", far.strand, encodeTarget(target)));
  }

  #pass(end: End, content: Buffer): void {
    if (end.over || content.length > end.room) throw new RangeError("more than there is room for");
    end.room -= content.length;
    end.traffic.bytes += content.length;
    this.#say(end.other, encodePiece("data", end.other.strand, content));
  }

  #passEnd(end: End): void {
    end.over = true;
    this.#say(end.other, encodePiece("end", end.other.strand));
    if (end.other.over) this.#forget(end);
  }

  #giveRoom(end: End, count: number): void {
    const fits = Math.min(count, WINDOW_BYTES - end.other.room);
    end.other.room += fits;
    this.#say(end.other, encodePiece("room", end.other.strand, encodeRoom(fits)));
  }

  #breakFrom(end: End): void {
    this.#say(end.other, encodePiece("broken", end.other.strand));
    this.#forget(end);
  }

  #say({ place }: End, piece: Buffer): void {
    this.#members.get(place)?.say(piece);
  }

  #forget(end: End): void {
    for (const { place, strand } of [end, end.other]) this.#members.get(place)?.ends.delete(strand);
    end.traffic.open--;
    this.#open--;
  }

  #countsOf({ place, port }: Target): Counts {
    const key = `${place}:${port}`;
    const counts = this.#traffic.get(key) ?? { place, port, open: 0, total: 0, bytes: 0 };
    this.#traffic.set(key, counts);
    return counts;
  }

  /** One that is long open may have the number that comes next. */
  #freshStrand({ ends }: Member): number {
    do this.#lastStrand = (this.#lastStrand + 1) % FROM_OUTSIDE;
    while (ends.has(FROM_OUTSIDE + this.#lastStrand));
    return FROM_OUTSIDE + this.#lastStrand;
  }
}
