/**
 * The sandboxes that this person holds on other nodes: makes them, finds them by name, shows them, ends them, and opens
 * byte streams into them.
 *
 * What is said of them is what their nodes said last; a node that does not answer changes nothing. A removal that could
 * not be told is told later (`run`).
 */

import type { DatabaseSync } from "node:sqlite";
import type { Duplex, Readable } from "node:stream";
import { type Clock, isAbort, type Log, type Random, Topic } from "../../base/index.ts";
import { Failure, type NodeId } from "../../core/index.ts";
import type { Link } from "../../network/index.ts";
import {
  askExtend,
  askLogs,
  askOffer,
  askPublish,
  askRemove,
  askSandboxes,
  askStats,
  askUnpublish,
  connectSandbox,
  type StreamWish,
} from "../ask.ts";
import type {
  Box,
  BoxPort,
  BoxProgress,
  BoxPublished,
  LogsQuery,
  Offer,
  PublishRequest,
  RemoveBoxReply,
  Sandbox,
  Stats,
  TouchRequest,
} from "../contract.ts";
import type { SandboxId } from "../runtime/sandbox-id.ts";
import { BoxBook, type BoxRow } from "./box-book.ts";
import { findBox } from "./find-box.ts";
import { isGone, Owners, type OwnersDeps } from "./owners.ts";
import { touch, type TouchDeps } from "./touch.ts";

/** What opens the ports of a box on this machine. */
export interface BoxDoors {
  /** One local port for each of its ports; those that are open already are kept. */
  open(row: BoxRow, signal: AbortSignal): Promise<readonly BoxPort[]>;
  of(id: SandboxId): readonly BoxPort[];
  /** Where `ssh` finds it on 127.0.0.1. */
  sshPort(id: SandboxId): number | undefined;
}

export interface BoxesDeps extends OwnersDeps, Pick<TouchDeps, "resolve" | "nearest" | "sshKey"> {
  readonly database: DatabaseSync;
  readonly doors: BoxDoors;
  /** Whether a group has this name. @default none has */
  readonly isGroup?: (name: string) => boolean;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** held: new, or its description changed. ended: removed (`leaving`), expired, or its node knows nothing of it. */
export interface BoxChange {
  readonly kind: "held" | "ended";
  readonly row: BoxRow;
}

/** A person looks at a list: whoever does not answer by then is shown as last known. */
const LIST_MS = 2_000;
const REMOVE_MS = 5_000;
const ASK_MS = 15_000;
/** How often a node is told again of a removal: soon at first, since most are back soon. */
const TELL_AGAIN_MS = 5_000;
const MAX_TELL_AGAIN_MS = 60_000;
/** After its lease has ended by this clock, the node's word is not waited for any longer. Clocks differ. */
const GRACE_MS = 3_600_000;
/** What a grant may allow at most, where no lifetime was asked for: nothing lives longer on another node. */
const MAX_UNKNOWN_MS = 31 * 24 * 3_600_000;
const MAX_TOUCHES = 64;

export class Boxes {
  readonly changes = new Topic<BoxChange>();
  readonly #deps: BoxesDeps;
  readonly #book: BoxBook;
  readonly #owners: Owners;
  #touches = 0;
  #nudge = new AbortController();

  /** Reads the book. @throws {Failure} version-differs, disk-full */
  constructor(deps: BoxesDeps) {
    this.#deps = deps;
    this.#book = new BoxBook(deps.database);
    this.#owners = new Owners(deps);
    // Asked for in an earlier life of the daemon: who asked has been told nothing, so nobody would look for it.
    for (const { id, state } of this.#book.all) if (state === "asked") this.#book.change(id, { state: "leaving" });
  }

  /** Those that are held, oldest first. */
  get rows(): readonly BoxRow[] {
    return this.#book.held;
  }

  /** @throws {Failure} what the node answers; unknown-node, ambiguous, conflict, bad-name, busy; not-found when none fits */
  async touch(request: TouchRequest, note: (progress: BoxProgress) => void, signal: AbortSignal): Promise<Box> {
    if (this.#touches >= MAX_TOUCHES) {
      throw new Failure("busy", `${MAX_TOUCHES} sandboxes are being started already`, {
        hint: "try again in a moment",
      });
    }
    this.#touches++;
    try {
      const { resolve, nearest, sshKey, clock, random, doors, isGroup = () => false } = this.#deps;
      const deps = { book: this.#book, owners: this.#owners, resolve, nearest, sshKey, isGroup, clock, random };
      const row = await touch(deps, { ...request, note }, signal);
      this.changes.publish({ kind: "held", row });
      await doors.open(row, signal);
      return this.#shown(row, "known");
    } finally {
      this.#touches--;
    }
  }

  /** What was typed. @throws {Failure} not-found, ambiguous */
  find(text: string): BoxRow {
    return findBox(text, this.#book.held, (row) => this.#owners.nameOf(row.node));
  }

  /** Whether one has this name. */
  isTaken(name: string): boolean {
    return this.#book.isTaken(name);
  }

  /** As their nodes described them last. */
  get known(): readonly Box[] {
    return this.#book.held.map((row) => this.#shown(row, "known"));
  }

  /** All of them; every node is asked at once, for 2 s at most. */
  async list(signal: AbortSignal): Promise<readonly Box[]> {
    const rows = this.#book.all;
    const nodes = [...new Set(rows.map(({ node }) => node))];
    const answered = new Set<NodeId>();
    await Promise.all(
      nodes.map(async (node) => {
        if (await this.#refresh(node, signal)) answered.add(node);
      }),
    );
    signal.throwIfAborted();
    return rows.flatMap(({ id, node }) => {
      const row = this.#book.get(id);
      return row?.sandbox === undefined ? [] : [this.#shown(row, answered.has(node) ? "known" : "lost")];
    });
  }

  /** @throws {Failure} not-found, ambiguous */
  async show(text: string, signal: AbortSignal): Promise<Box> {
    const { id, node } = this.find(text);
    const answered = await this.#refresh(node, signal);
    const row = this.#book.get(id);
    if (row === undefined) throw this.#ended(text, node);
    return this.#shown(row, answered ? "known" : "lost");
  }

  /** @throws {Failure} what the node answers */
  async extend(text: string, lifetimeMs: number, signal: AbortSignal): Promise<Box> {
    const row = this.find(text);
    const ask = (link: Link, within: AbortSignal) => askExtend(link, { id: row.id, lifetimeMs }, within);
    this.#note(row, await this.#ask(row, ask, signal));
    return this.#shown(this.#book.get(row.id) ?? row, "known");
  }

  /** Opens a port of its node to everybody. @throws {Failure} what the node answers */
  async publish(text: string, wish: PublishRequest, signal: AbortSignal): Promise<BoxPublished> {
    const row = this.find(text);
    const ask = async (link: Link, within: AbortSignal) => {
      const published = await askPublish(link, { id: row.id, ...wish }, within);
      const direct = link.path.via === undefined && link.path.kind.startsWith("tcp");
      const host = link.path.remote.slice(0, link.path.remote.lastIndexOf(":"));
      return direct ? { ...published, host } : published;
    };
    return await this.#ask(row, ask, signal);
  }

  /** @throws {Failure} what the node answers; not-found */
  async unpublish(text: string, port: number, signal: AbortSignal): Promise<Box> {
    const row = this.find(text);
    const ask = (link: Link, within: AbortSignal) => askUnpublish(link, { id: row.id, port }, within);
    this.#note(row, await this.#ask(row, ask, signal));
    return this.#shown(this.#book.get(row.id) ?? row, "known");
  }

  /** On disk before anybody is asked: a node that does not answer now is told later. @throws {Failure} not-found, ambiguous */
  async remove(text: string, signal: AbortSignal): Promise<RemoveBoxReply> {
    const row = this.find(text);
    this.#book.change(row.id, { state: "leaving" });
    this.changes.publish({ kind: "ended", row: { ...row, state: "leaving" } });
    const done = await this.#leave(row, signal);
    if (!done) this.#nudge.abort();
    return { id: row.id, name: row.name, node: this.#nodeOf(row), done };
  }

  /** What a node would give me now. @throws {Failure} unknown-node, ambiguous; not-allowed: it does not lend to me */
  async offerOf(node: string, signal: AbortSignal): Promise<Offer> {
    const { id } = this.#deps.resolve(node);
    return await this.#owners.ask({ id, timeoutMs: LIST_MS }, (link, within) => askOffer(link, within), signal);
  }

  async stats(text: string, signal: AbortSignal): Promise<Stats> {
    const row = this.find(text);
    return await this.#ask(row, (link, within) => askStats(link, row.id, within), signal);
  }

  /** Ends with the sandbox, or when destroyed. */
  async logs(text: string, query: LogsQuery, signal: AbortSignal): Promise<Readable> {
    const row = this.find(text);
    return await this.#guarded(row, async () => {
      const link = await this.#owners.link(row.node, signal);
      return await askLogs(link, { id: row.id, ...query }, signal);
    });
  }

  /** A byte stream into it, over the link to its node. @throws {Failure} what the node answers; unreachable */
  async connect(text: string, wish: StreamWish, signal: AbortSignal): Promise<Duplex> {
    const row = this.find(text);
    return await this.#guarded(row, async () => {
      const link = await this.#owners.link(row.node, signal);
      return await connectSandbox(link, { id: row.id, wish }, signal);
    });
  }

  /** Tells nodes of removals that they have not confirmed, and forgets what must have ended, until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    let pauseMs = 0;
    while (!signal.aborted) {
      const leaving = this.#book.all.filter(({ state }) => state === "leaving");
      const told = await Promise.all(leaving.map((row) => this.#leave(row, signal)));
      for (const row of this.#book.all) if (this.#mustHaveEnded(row)) this.#forget(row);
      const nextMs = Math.max(TELL_AGAIN_MS, Math.min(pauseMs * 2, MAX_TELL_AGAIN_MS));
      pauseMs = told.includes(false) ? nextMs : MAX_TELL_AGAIN_MS;
      if (await this.#sleep(pauseMs, signal)) pauseMs = 0;
    }
  }

  /** @returns whether it was cut short, since a node is to be told of something new */
  async #sleep(ms: number, signal: AbortSignal): Promise<boolean> {
    const nudge = new AbortController();
    this.#nudge = nudge;
    try {
      await this.#deps.clock.sleep(ms, AbortSignal.any([signal, nudge.signal]));
      return false;
    } catch (error) {
      if (!signal.aborted && !nudge.signal.aborted) throw error;
      return true;
    }
  }

  #ask<T>(row: BoxRow, work: (link: Link, signal: AbortSignal) => Promise<T>, signal: AbortSignal): Promise<T> {
    return this.#guarded(row, () => this.#owners.ask({ id: row.node, timeoutMs: ASK_MS }, work, signal));
  }

  /** Puts a sandbox that its node does not know any more out of the book. */
  async #guarded<T>(row: BoxRow, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof Failure) || error.code !== "not-found") throw error;
      await this.#refresh(row.node, new AbortController().signal);
      throw this.#book.get(row.id) === undefined ? this.#ended(row.name, row.node) : error;
    }
  }

  /** @returns whether the node answered */
  async #refresh(node: NodeId, signal: AbortSignal): Promise<boolean> {
    const before = this.#book.all.filter((row) => row.node === node);
    let found: ReadonlyMap<SandboxId, Sandbox>;
    try {
      const ask = (link: Link, within: AbortSignal) => askSandboxes(link, within);
      const sandboxes = await this.#owners.ask({ id: node, timeoutMs: LIST_MS }, ask, signal);
      found = new Map(sandboxes.map((sandbox) => [sandbox.id, sandbox]));
    } catch (error) {
      if (!(error instanceof Failure) && !isAbort(error, signal)) throw error;
      if (!(error instanceof Failure) || error.code !== "not-allowed") return false;
      found = new Map(); // its owner has ended my grant there, and with it my sandboxes
    }
    for (const row of before) this.#compare(row, found.get(row.id));
    return true;
  }

  /** @param row as it was when its node was asked */
  #compare(row: BoxRow, sandbox: Sandbox | undefined): void {
    if (sandbox === undefined) {
      if (row.state !== "asked") this.#forget(row); // that one may be on its way there
      return;
    }
    const unwanted = row.state === "leaving" && row.sandbox === undefined; // whoever asked was told that it failed
    const overtaken = this.#book.get(row.id)?.state !== row.state; // it has been made since the node wrote this
    if (!unwanted && !overtaken) this.#note(row, sandbox);
  }

  #note(row: BoxRow, sandbox: Sandbox): void {
    if (JSON.stringify(sandbox) === JSON.stringify(row.sandbox)) return; // each write waits for the disk
    this.#book.change(row.id, { sandbox });
    const changed = this.#book.get(row.id);
    if (changed?.state === "held") this.changes.publish({ kind: "held", row: changed });
  }

  #forget(row: BoxRow): void {
    const now = this.#book.get(row.id);
    if (now === undefined) return;
    this.#book.delete(row.id);
    this.#deps.log.info("a sandbox elsewhere has ended", { box: row.id, node: row.node });
    if (now.state === "held") this.changes.publish({ kind: "ended", row: now });
  }

  /** @returns whether it is gone there */
  async #leave(row: BoxRow, signal: AbortSignal): Promise<boolean> {
    try {
      const ask = (link: Link, within: AbortSignal) => askRemove(link, row.id, within);
      await this.#owners.ask({ id: row.node, timeoutMs: REMOVE_MS }, ask, signal);
    } catch (error) {
      if (!(error instanceof Failure)) {
        if (isAbort(error, signal)) return false;
        throw error;
      }
      if (!isGone(error)) {
        this.#deps.log.debug("a removal is still to be told", { box: row.id, node: row.node, why: error.message });
        return false;
      }
    }
    this.#forget(row);
    return true;
  }

  #mustHaveEnded({ state, sandbox, request, at }: BoxRow): boolean {
    if (state === "asked") return false;
    const ends = sandbox?.expires ?? at + (request.lifetimeMs ?? MAX_UNKNOWN_MS);
    return this.#deps.clock.wallTime() > ends + GRACE_MS;
  }

  #nodeOf({ node }: BoxRow): Box["node"] {
    return { id: node, name: this.#owners.nameOf(node) };
  }

  #shown(row: BoxRow, reach: Box["reach"]): Box {
    if (row.sandbox === undefined) throw new Error("a box is shown before it was made");
    const state = row.state === "leaving" ? "removing" : row.sandbox.state;
    const sshPort = this.#deps.doors.sshPort(row.id);
    return {
      node: this.#nodeOf(row),
      sandbox: { ...row.sandbox, state },
      reach,
      ports: [...this.#deps.doors.of(row.id)],
      ...(sshPort === undefined ? {} : { sshPort }),
    };
  }

  #ended(name: string, node: NodeId): Failure {
    return new Failure("not-found", `"${name}" is no longer on ${this.#owners.nameOf(node)}`, {
      hint: "its time was over, or the owner of that node has ended it; `p2prc touch` starts another",
    });
  }
}
