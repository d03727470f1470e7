/**
 * Groups of sandboxes that this person holds: made, changed, and shown with what is known of their members.
 *
 * A sandbox that the person removes leaves its groups. One that ended in another way stays in them as one that has ended,
 * so that whoever works on the group hears that one is missing.
 */

import type { DatabaseSync } from "node:sqlite";
import { type Clock, type Random, Topic } from "../../base/index.ts";
import { cleanText, Failure, twoWords } from "../../core/index.ts";
import type { Boxes } from "../box/boxes.ts";
import { parseBoxName } from "../words.ts";
import type { Group, GroupRequest } from "./contract.ts";
import { GroupBook, type GroupBookOptions, type GroupRow, type MemberRow } from "./group-book.ts";

export interface GroupsDeps {
  readonly database: DatabaseSync;
  readonly boxes: Pick<Boxes, "find" | "known" | "isTaken" | "changes">;
  readonly clock: Pick<Clock, "wallTime">;
  readonly random: Random;
}

/** Who is in it now. Undefined: it is no group any more. */
export interface GroupChange {
  readonly id: string;
  readonly members: readonly MemberRow[] | undefined;
}

export class Groups implements Disposable {
  readonly changes = new Topic<GroupChange>();
  readonly #deps: GroupsDeps;
  readonly #book: GroupBook;
  readonly #ended: Disposable;

  /** Reads the book. @throws {Failure} version-differs, disk-full */
  constructor(deps: GroupsDeps, options: GroupBookOptions = {}) {
    this.#deps = deps;
    this.#book = new GroupBook(deps.database, options);
    this.#ended = deps.boxes.changes.on(({ kind, row }) => {
      if (kind === "ended" && row.state === "leaving") this.#forget(row.id);
    });
  }

  /** Whether a group has this name. */
  has(name: string): boolean {
    return this.#book.all.some((row) => row.name === name);
  }

  /** Oldest first. */
  list(): readonly Group[] {
    const shown = this.#shower();
    return this.#book.all.map(shown);
  }

  /** @throws {Failure} bad-name, conflict, too-large, not-found and ambiguous about its boxes */
  create({ name, boxes = [] }: GroupRequest): Group {
    const { clock, random } = this.#deps;
    const row: GroupRow = {
      id: `grp${uuidFrom(random.bytes(16))}`,
      name: name === undefined ? this.#freeName() : this.#checked(name),
      made: clock.wallTime(),
      members: this.#membersOf([], boxes),
    };
    this.#book.save(row);
    return this.#shower()(row);
  }

  /** @throws {Failure} not-found, ambiguous */
  show(text: string, { exact }: { readonly exact: boolean }): Group {
    return this.#shower()(this.#find(text, exact));
  }

  /** Those that are in it already stay where they are. @throws {Failure} not-found, ambiguous, too-large */
  add(text: string, boxes: readonly string[]): Group {
    const row = this.#find(text);
    return this.#change(row, this.#membersOf(row.members, boxes));
  }

  /** Takes one out, also one that has ended. @throws {Failure} not-found, ambiguous */
  remove(text: string, box: string): Group {
    const row = this.#find(text);
    const { id } = memberCalled(box, row);
    return this.#change(
      row,
      row.members.filter((member) => member.id !== id),
    );
  }

  /** Its sandboxes live on. @returns what it was @throws {Failure} not-found, ambiguous */
  delete(text: string): Group {
    const row = this.#find(text);
    this.#book.delete(row.id);
    this.changes.publish({ id: row.id, members: undefined });
    return this.#shower()(row);
  }

  [Symbol.dispose](): void {
    this.#ended[Symbol.dispose]();
  }

  #change(row: GroupRow, members: readonly MemberRow[]): Group {
    const changed = { ...row, members };
    this.#save(changed);
    return this.#shower()(changed);
  }

  /** A group and a sandbox of one name could not be told apart. @throws {Failure} bad-name, conflict */
  #checked(text: string): string {
    const name = parseGroupName(text);
    if (!this.#deps.boxes.isTaken(name)) return name;
    throw new Failure("conflict", `you have a sandbox "${name}" already`, {
      hint: "choose another name for the group",
    });
  }

  #freeName(): string {
    const { boxes, random } = this.#deps;
    for (;;) {
      const name = twoWords(random);
      if (!this.has(name) && !boxes.isTaken(name)) return name;
    }
  }

  #membersOf(before: readonly MemberRow[], boxes: readonly string[]): readonly MemberRow[] {
    const members = new Map(before.map((member) => [member.id, member]));
    for (const { id, name } of boxes.map((box) => this.#deps.boxes.find(box))) {
      if (!members.has(id)) members.set(id, { id, name });
    }
    return [...members.values()];
  }

  #find(text: string, exact = false): GroupRow {
    const wanted = text.trim().toLowerCase();
    const [whole] = this.#book.all.filter(({ id, name }) => name === wanted || id === wanted);
    if (whole !== undefined) return whole;
    const begun = exact
      ? []
      : this.#book.all.filter(({ id, name }) => name.startsWith(wanted) || id.startsWith(wanted));
    const [first, second] = begun;
    if (first !== undefined && second === undefined) return first;
    if (first === undefined) throw unknownGroup(text);
    const named = begun.slice(0, 5).map(({ name, id }) => `${name} (${id})`);
    throw new Failure("ambiguous", `"${cleanText(text, 80)}" may be ${named.join(" or ")}`, {
      hint: "type more of its name or id",
    });
  }

  #shower(): (row: GroupRow) => Group {
    const known = new Map(this.#deps.boxes.known.map((box) => [box.sandbox.id, box]));
    return ({ members, ...row }) => ({
      ...row,
      members: members.map(({ id, name }) => {
        const box = known.get(id);
        return { id, name, ...(box === undefined ? {} : { box }) };
      }),
    });
  }

  #forget(id: string): void {
    for (const row of this.#book.all) {
      const members = row.members.filter((member) => member.id !== id);
      if (members.length < row.members.length) this.#save({ ...row, members });
    }
  }

  #save(row: GroupRow): void {
    this.#book.save(row);
    this.changes.publish(row);
  }
}

/** @throws {Failure} bad-name */
function parseGroupName(text: string): string {
  try {
    return parseBoxName(text);
  } catch (cause) {
    if (!(cause instanceof Failure)) throw cause;
    throw new Failure("bad-name", `not a name for a group: "${cleanText(text, 64)}"`, {
      hint: "use 1 to 32 small letters, digits and dashes, no dash at either end",
      cause,
    });
  }
}

/** @throws {Failure} not-found, ambiguous */
function memberCalled(text: string, { name: group, members }: GroupRow): MemberRow {
  const wanted = text.trim().toLowerCase();
  const found = [
    members.filter(({ id, name }) => id === wanted || name === wanted),
    members.filter(({ id, name }) => id.startsWith(wanted) || name.startsWith(wanted)),
  ].find((some) => some.length > 0);
  const [first, second] = found ?? [];
  if (first === undefined) {
    throw new Failure("not-found", `there is no sandbox "${cleanText(text, 80)}" in the group ${group}`, {
      hint: `\`p2prc group show ${group}\` lists them`,
    });
  }
  // One that has ended may have had the name of one that lives.
  if (second === undefined) return first;
  const named = (found ?? []).slice(0, 5).map(({ id, name }) => `${name} (${id})`);
  throw new Failure("ambiguous", `"${cleanText(text, 80)}" may be ${named.join(" or ")}`, { hint: "type its id" });
}

function unknownGroup(text: string): Failure {
  return new Failure("not-found", `you have no group "${cleanText(text, 80)}"`, {
    hint: "`p2prc group ls` lists those you have, `p2prc group create` makes one",
  });
}

/** RFC 9562 section 5.4. */
function uuidFrom(bytes: Uint8Array): string {
  const hex = [...bytes]
    .map((byte, index) => (index === 6 ? (byte & 0x0f) | 0x40 : index === 8 ? (byte & 0x3f) | 0x80 : byte))
    .map((byte) => byte.toString(16).padStart(2, "0"))
    .join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/u, "$1-$2-$3-$4-$5");
}
