/**
 * Makes a sandbox on a node: writes down its id first, then asks, and asks again with the same id where the answer was
 * lost. What may have been made and could not be confirmed is left to be removed, never forgotten.
 */

import { type Clock, isAbort, type Random } from "../../base/index.ts";
import { cleanText, Failure, type NodeId, twoWords } from "../../core/index.ts";
import type { Dialable } from "../../network/index.ts";
import { askCreate, askOffer } from "../ask.ts";
import type { BoxProgress, CreateProgress, CreateRequest, Sandbox, TouchRequest } from "../contract.ts";
import { sandboxIdFrom } from "../runtime/sandbox-id.ts";
import { parseBoxName } from "../words.ts";
import type { BoxBook, BoxRow } from "./box-book.ts";
import { whyNot, type Wish } from "./fits.ts";
import { isSilence, type Owners } from "./owners.ts";
import { foldReasons, type PassedOver } from "./passed-over.ts";

export type Candidate = Dialable & { readonly name: string };

export interface TouchDeps {
  readonly book: BoxBook;
  readonly owners: Owners;
  /** @throws {Failure} unknown-node, ambiguous */
  readonly resolve: (text: string) => Candidate;
  /** Joined nodes, nearest first. */
  readonly nearest: () => readonly Candidate[];
  /** My public key, as one line of OpenSSH. */
  readonly sshKey: () => Promise<string>;
  /** Whether a group has this name: it could not be told from a sandbox's. */
  readonly isGroup: (name: string) => boolean;
  readonly clock: Clock;
  readonly random: Random;
}

type Note = (progress: BoxProgress) => void;

interface Order {
  readonly name: string;
  readonly wish: Wish;
}

const OFFER_MS = 5_000;
/** A person chooses among friends; more are not asked. */
const MAX_CANDIDATES = 64;
/** A link that breaks twice in a row while a sandbox is made is not going to hold. */
const TRIES = 3;
const BETWEEN_TRIES_MS = 500;

/** @throws {Failure} what the node answers; unknown-node, conflict, bad-name; not-found when none fits */
export async function touch(deps: TouchDeps, request: TouchRequest & { readonly note: Note }, signal: AbortSignal) {
  const { node, near, turn = 0, name, note, ...wish } = request;
  if ((node === undefined) === (near !== true)) {
    throw new Failure("bad-argument", "on which node? name one, or say that the nearest one will do, not both", {
      hint: "`p2prc touch attic`, or `p2prc touch --near`",
    });
  }
  const order = { name: name === undefined ? freeName(deps) : parseBoxName(name), wish };
  if (deps.book.isTaken(order.name)) throw nameTaken(order.name);
  if (deps.isGroup(order.name)) throw nameOfGroup(order.name);
  if (node !== undefined) return await make(deps, { ...order, target: deps.resolve(node), note }, signal);
  return await makeNearest(deps, { ...order, turn, note }, signal);
}

interface NearOrder extends Order {
  readonly turn: number;
  readonly note: Note;
}

async function makeNearest(deps: TouchDeps, order: NearOrder, signal: AbortSignal) {
  const candidates = inTurn(deps.nearest().slice(0, MAX_CANDIDATES), order.turn);
  if (candidates.length === 0)
    throw new Failure("not-found", "no node is joined yet, so none is near", {
      hint: "accept an invite with `p2prc join`, or add a node with `p2prc add`",
    });
  // All are asked at once; the nearest that fits wins, however late a farther one answers.
  const asked = candidates.map((target) => ({
    target,
    refusal: refusalOf(deps, { target, wish: order.wish }, signal),
  }));
  const reasons: PassedOver[] = [];
  for (const { target, refusal } of asked) {
    order.note({ node: target.name });
    const refused = await refusal;
    signal.throwIfAborted();
    const why = refused ?? (await madeOrWhy(deps, { ...order, target }, signal));
    if (typeof why !== "string") return why;
    order.note({ node: target.name, passedOver: why });
    reasons.push({ node: target.name, why });
  }
  const count =
    reasons.length === 1 ? "the only joined node does not fit" : `none of ${reasons.length} joined nodes fits`;
  throw new Failure("not-found", `${count}: ${cleanText(foldReasons(reasons).join("; "), 2_000)}`, {
    hint: "ask for less, or join more nodes; `p2prc ls` shows what each one has",
  });
}

/** Several go to one node each, and round again; each goes on with the next node where its own will not do. */
function inTurn<T>(candidates: readonly T[], turn: number): readonly T[] {
  const at = candidates.length === 0 ? 0 : turn % candidates.length;
  return [...candidates.slice(at), ...candidates.slice(0, at)];
}

/** Why a node will not do; undefined when by its own word it does. */
async function refusalOf(
  { owners }: TouchDeps,
  { target, wish }: { readonly target: Candidate; readonly wish: Wish },
  signal: AbortSignal,
): Promise<string | undefined> {
  try {
    const offer = await owners.ask(
      { id: target.id, timeoutMs: OFFER_MS },
      (link, within) => askOffer(link, within),
      signal,
    );
    return whyNot(wish, offer);
  } catch (error) {
    // Also when the person has left: whoever waits for the others sees the signal, and nobody may wait for this one.
    return reasonOf(error);
  }
}

async function madeOrWhy(
  deps: TouchDeps,
  order: Order & { readonly target: Candidate; readonly note: Note },
  signal: AbortSignal,
): Promise<BoxRow | string> {
  try {
    return await make(deps, order, signal);
  } catch (error) {
    if (isAbort(error, signal) || !(error instanceof Failure) || error.code === "conflict") throw error;
    return reasonOf(error);
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? cleanText(error.message, 200) : String(error);
}

async function make(
  { book, owners, sshKey, clock, random }: TouchDeps,
  { name, wish, target, note }: Order & { readonly target: Candidate; readonly note: Note },
  signal: AbortSignal,
): Promise<BoxRow> {
  const id = sandboxIdFrom(random.bytes(10));
  const request: CreateRequest = { ...wish, id, name, sshKey: await sshKey() };
  book.add({ id, name, node: target.id, state: "asked", request, sandbox: undefined, at: clock.wallTime() });
  const asking = { sent: false };
  note({ node: target.name });
  const tell = (create: CreateProgress) => note({ node: target.name, create });
  try {
    const sandbox = await askUntilAnswered({ owners, clock, node: target.id, request, tell, asking }, signal);
    book.change(id, { state: "held", sandbox });
  } catch (error) {
    const mayExist = asking.sent && (isAbort(error, signal) || isSilence(error) || !(error instanceof Failure));
    if (!mayExist) book.delete(id);
    else book.change(id, { state: "leaving" });
    throw mayExist && error instanceof Failure ? unconfirmed(error, target.name) : error;
  }
  const made = book.get(id);
  if (made === undefined) throw new Failure("not-found", `"${name}" was removed while it was made`);
  return made;
}

interface Asking {
  readonly owners: Owners;
  readonly clock: Clock;
  readonly node: NodeId;
  readonly request: CreateRequest;
  readonly tell: (progress: CreateProgress) => void;
  /** Whether the node may have heard of it. */
  readonly asking: { sent: boolean };
}

async function askUntilAnswered(
  { owners, clock, node, request, tell, asking }: Asking,
  signal: AbortSignal,
): Promise<Sandbox> {
  for (let tries = 1; ; tries++) {
    try {
      const link = await owners.link(node, signal);
      asking.sent = true;
      using _held = link.hold();
      return await askCreate(link, { ...request, note: tell }, signal);
    } catch (error) {
      const again = asking.sent && isSilence(error) && tries < TRIES;
      if (!again || isAbort(error, signal)) throw error;
      await clock.sleep(BETWEEN_TRIES_MS * tries, signal);
    }
  }
}

function unconfirmed({ code, message }: Failure, node: string): Failure {
  return new Failure(code, `${message}; whether the sandbox was made on ${node} is not known`, {
    hint: `if it was, it is removed as soon as ${node} answers again`,
  });
}

function nameTaken(name: string): Failure {
  return new Failure("conflict", `you have a sandbox "${name}" already`, {
    hint: `choose another name, or remove it with \`p2prc rm ${name}\``,
  });
}

function nameOfGroup(name: string): Failure {
  return new Failure("conflict", `you have a group "${name}" already`, {
    hint: "choose another name for the sandbox; `p2prc group ls` lists the groups",
  });
}

/** Two words, and when those are taken a number behind them. */
function freeName({ book, isGroup, random }: TouchDeps): string {
  for (let tries = 0; tries < 20; tries++) {
    const name = twoWords(random);
    if (!book.isTaken(name) && !isGroup(name)) return name;
  }
  const base = twoWords(random);
  for (let number = 2; ; number++) if (!book.isTaken(`${base}-${number}`)) return `${base}-${number}`;
}
