/**
 * This node's ends of the DHT as its role changes: opened when it lends or dials, and opened anew where another role needs
 * other ports, once those that it cares for go through them no more.
 */

import { isAbort } from "../../base/index.ts";
import { cleanText, type Endpoint, Failure } from "../../core/index.ts";
import { orAborted } from "../host-names.ts";
import type { Doorkeeper } from "./doorkeeper.ts";
import { reasonOf } from "./endpoints.ts";
import { type Address, type Engine, loadEngine } from "./engine.ts";
import type { Keys } from "./keys.ts";
import { readNodeList, writeNodeList } from "./node-list.ts";
import { Presence, type PresenceDeps, type PunchRole } from "./presence.ts";

export interface RoleDeps extends Omit<PresenceDeps, "engine" | "keys" | "door"> {
  /** The DHT ports of nodes in the table, as these say of themselves. */
  readonly bootstrap: () => readonly Endpoint[];
  /** @default hyperdht */
  readonly load?: () => Promise<Engine>;
}

export interface RoleOptions {
  /** IPv4 address to bind. @default "0.0.0.0" */
  readonly host?: string;
  /** Where known nodes are kept. @default nowhere */
  readonly nodesPath?: string;
}

/** How long a new role waits for streams that end with the old ports: strangers come anew, and could hold it up for ever. */
const WAIT_MS = { nobody: 0, strangers: 2 * 60_000, known: 60 * 60_000 } as const;
const SAVE_MS = 10 * 60_000;

export class Role implements AsyncDisposable {
  readonly #deps: RoleDeps & { readonly keys: Keys; readonly door: Doorkeeper };
  readonly #options: RoleOptions;
  #wanted: PunchRole;
  #since: number;
  #engine: Promise<Engine> | undefined;
  #broken: string | undefined;
  #saved: readonly Address[] | undefined;
  #savedAt: number;
  /** What is open is changed by one at a time. */
  #changing: Promise<unknown> = Promise.resolve();
  #presence: Presence | undefined;
  #closed = false;

  constructor(
    deps: RoleDeps & { readonly keys: Keys; readonly door: Doorkeeper },
    wanted: PunchRole,
    options: RoleOptions,
  ) {
    this.#deps = deps;
    this.#wanted = wanted;
    this.#options = options;
    this.#since = this.#savedAt = deps.clock.now();
  }

  get wanted(): PunchRole {
    return this.#wanted;
  }

  /** Undefined: nothing is open. */
  get presence(): Presence | undefined {
    return this.#presence;
  }

  /** Why the engine cannot be had. */
  get broken(): string | undefined {
    return this.#broken;
  }

  /** Whether what is open is still as another role needed it. */
  get isBehind(): boolean {
    return this.#presence !== undefined && !isSame(this.#presence.role, this.#wanted);
  }

  get hasSomebodyToAsk(): boolean {
    return this.#deps.bootstrap().length + (this.#saved?.length ?? 0) > 0;
  }

  set(wanted: PunchRole): void {
    if (!isSame(this.#wanted, wanted)) this.#since = this.#deps.clock.now();
    this.#wanted = wanted;
  }

  /** Does what is due by now. */
  async tend(signal: AbortSignal): Promise<void> {
    try {
      await this.#readSaved();
      await this.#change(() => this.#follow());
      await this.#presence?.tend(this.#deps.bootstrap(), signal);
      await this.#save();
    } catch (error) {
      if (isAbort(error, signal)) return;
      if (!(error instanceof Failure)) throw error;
      this.#deps.log.debug("the DHT is not open", { why: error.message });
    }
  }

  /** For whoever dials: open, with its first answers in. Undefined: nobody is known who could be asked. @throws {Failure} */
  async ready(signal: AbortSignal): Promise<Presence | undefined> {
    await orAborted(this.#readSaved(), signal);
    if (this.hasSomebodyToAsk) {
      const opened = this.#change(() => this.#open());
      await orAborted(opened, signal);
    }
    return this.#presence;
  }

  /** @throws {Failure} not-supported */
  async engine(): Promise<Engine> {
    this.#engine ??= (this.#deps.load ?? loadEngine)();
    try {
      return await this.#engine;
    } catch (cause) {
      this.#broken ??= `the native modules of hyperdht do not load: ${cleanText(reasonOf(cause), 160)}`;
      throw new Failure("not-supported", this.#broken, { cause });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    await this.#change(() => this.#close());
  }

  async #follow(): Promise<void> {
    const wanted = this.#wanted;
    const presence = this.#presence;
    if (presence !== undefined) {
      if (isSame(presence.role, wanted) || this.#waitsFor(presence)) await presence.answer(wanted.answers);
      else await this.#close();
    }
    // The first node of a network has nobody to ask. Who does not lend opens nothing before he dials.
    if (wanted.answers && (wanted.publicHost !== undefined || this.hasSomebodyToAsk)) await this.#open();
  }

  /** Streams end with the ports that they go through: others are opened when there are none, or none that can live. */
  #waitsFor({ role, usedBy }: Presence): boolean {
    return !hasMoved(role, this.#wanted) && this.#deps.clock.now() - this.#since < WAIT_MS[usedBy];
  }

  async #open(): Promise<void> {
    if (this.#presence !== undefined || this.#closed) return;
    const engine = await this.engine();
    const surroundings = {
      bootstrap: this.#deps.bootstrap(),
      saved: this.#saved ?? [],
      host: this.#options.host ?? "0.0.0.0",
    };
    this.#presence = await Presence.open({ ...this.#deps, engine }, this.#wanted, surroundings);
  }

  async #close(): Promise<void> {
    const presence = this.#presence;
    this.#presence = undefined;
    await presence?.[Symbol.asyncDispose]();
  }

  async #readSaved(): Promise<void> {
    const { nodesPath } = this.#options;
    this.#saved ??= nodesPath === undefined ? [] : await readNodeList(nodesPath);
  }

  async #save(): Promise<void> {
    const { nodesPath } = this.#options;
    const nodes = this.#presence?.nodes ?? [];
    const now = this.#deps.clock.now();
    const isDue = now - this.#savedAt >= SAVE_MS || this.#saved?.length === 0;
    if (nodesPath === undefined || nodes.length === 0 || !isDue) return;
    this.#saved = nodes;
    this.#savedAt = now;
    await writeNodeList(nodesPath, nodes);
  }

  async #change(work: () => Promise<void>): Promise<void> {
    const changed = this.#changing.then(work);
    this.#changing = changed.catch(() => undefined); // whoever asked hears of it
    await changed;
  }
}

function hasMoved(from: PunchRole, to: PunchRole): boolean {
  return from.publicHost !== undefined && to.publicHost !== undefined && from.publicHost !== to.publicHost;
}

function isSame(one: PunchRole, other: PunchRole): boolean {
  return one.answers === other.answers && one.port === other.port && one.publicHost === other.publicHost;
}
