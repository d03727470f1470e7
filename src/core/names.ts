/**
 * Which node a person means by what they typed.
 *
 * Only nodes that a person joined answer to names, addresses and short prefixes: a stranger may call
 * itself anything, and a key with a wanted 4-character prefix takes two minutes to make. What a node
 * calls itself never outranks the name it has here.
 */

import { cleanText } from "./text.ts";
import { Failure } from "./errors.ts";
import { isNodeId, NODE_ID_PATTERN, type NodeId, shortNodeId } from "./node-id.ts";

export interface Named {
  readonly id: NodeId;
  /** Whether it is one of the person's own nodes or a friend. */
  readonly joined: boolean;
  /** Its name here. */
  readonly name?: string | undefined;
  /** What it calls itself. */
  readonly claimedName?: string | undefined;
  /** Addresses and host names it answers at. */
  readonly hosts: readonly string[];
}

/** 80 bits: nobody makes a key that begins with these. */
const STRANGER_PREFIX_LENGTH = 16;
const MAX_NAME_LENGTH = 32;

/** @throws {Failure} unknown-node, ambiguous */
export function resolveName<T extends Named>(text: string, nodes: Iterable<T>): T {
  const wanted = text.trim();
  const folded = fold(wanted);
  const joined: T[] = [];
  const strangers: T[] = [];
  for (const node of nodes) {
    if (node.id === folded) return node;
    if (node.joined) joined.push(node);
    else if (folded.length >= STRANGER_PREFIX_LENGTH && node.id.startsWith(folded)) strangers.push(node);
  }
  if (folded !== "") {
    for (const matches of [
      joined.filter((node) => named(node, folded)),
      joined.filter((node) => hinted(node, folded)),
      strangers,
    ]) {
      const [first, second] = matches;
      if (first !== undefined && second === undefined) return first;
      if (first !== undefined) throw ambiguous(wanted, matches);
    }
  }
  throw unknown(wanted);
}

/** By the name it has here. */
function named(node: Named, folded: string): boolean {
  return node.name !== undefined && fold(node.name) === folded;
}

/** By all else: these share one level, so that no claim gets before a prefix somebody is used to type. */
function hinted(node: Named, folded: string): boolean {
  const claimed = node.claimedName !== undefined && fold(node.claimedName) === folded;
  const prefix = node.id.startsWith(folded) || (node.name !== undefined && fold(node.name).startsWith(folded));
  return claimed || prefix || node.hosts.some((host) => fold(host) === fold(unbracketed(folded)));
}

/**
 * The name that a node gets here when it is joined: what it calls itself, made fit to be typed, and told
 * apart from `taken` by a number.
 */
export function localNameFor(claimed: string, id: NodeId, taken: ReadonlySet<string>): string {
  const folded = new Set(Array.from(taken, fold));
  const base = typable(claimed) ?? id.slice(0, 8);
  if (!folded.has(fold(base))) return base;
  for (let number = 2; ; number++) {
    const name = `${Array.from(base)
      .slice(0, MAX_NAME_LENGTH - 5)
      .join("")}-${number}`;
    if (!folded.has(fold(name))) return name;
  }
}

/** @throws {Failure} bad-name */
export function parseLocalName(text: string): string {
  const name = text.trim();
  if (typable(name) === name) return name;
  throw new Failure("bad-name", `not a name for a node: "${cleanText(text, 64)}"`, {
    hint: `use 1 to ${MAX_NAME_LENGTH} characters without spaces, slashes or colons, not beginning with a dash, and not shaped like an id or an address`,
  });
}

/** A name must not be mistaken for an option, a path, an address or an id. */
function typable(text: string): string | undefined {
  const name = cleanText(text, MAX_NAME_LENGTH)
    .replace(/[\s/\\:@'"`$|&;<>()*?[\]{}!#%,]+/gu, "-")
    .replace(/^[-.]+|-+$/g, "");
  if (name === "" || /^[\d.]+$/.test(name) || isNodeId(fold(name)) || isIdPrefix(fold(name))) return undefined;
  return name;
}

function isIdPrefix(text: string): boolean {
  return text.length >= STRANGER_PREFIX_LENGTH && ID_CHARACTERS.test(text);
}

const ID_CHARACTERS = new RegExp(`^${NODE_ID_PATTERN.source.slice(1).split("{")[0] ?? ""}*$`);

function ambiguous(text: string, matches: readonly Named[]): Failure {
  const shown = matches.slice(0, 5).map((node) => `${node.name ?? node.claimedName ?? "?"} (${node.id.slice(0, 20)}…)`);
  return new Failure("ambiguous", `"${cleanText(text, 80)}" may be ${shown.join(" or ")}`, {
    hint: "type more of the name or id, or give one of them another name with `p2prc rename`",
  });
}

function unknown(text: string): Failure {
  return new Failure("unknown-node", `no node "${cleanText(text, 80)}" is known here`, {
    hint: "`p2prc ls --all` lists the known ones; a stranger needs at least 16 characters of his id; `p2prc update` looks for more",
  });
}

/** How the node is shown: its name here, else what it calls itself, else some of its id. */
export function shownName(node: Pick<Named, "id" | "name" | "claimedName">): string {
  return (
    node.name ?? (node.claimedName === undefined || node.claimedName === "" ? shortNodeId(node.id) : node.claimedName)
  );
}

function unbracketed(text: string): string {
  return text.startsWith("[") && text.endsWith("]") ? text.slice(1, -1) : text;
}

function fold(text: string): string {
  return text.normalize("NFC").toLowerCase();
}
