/**
 * The sandboxes of this node: made, prolonged, frozen and removed, each step written before it is taken.
 *
 * What is written is what is wanted; whatever kills the daemon in between, `Keeper` brings the runtime to it at the next
 * start. Only `LeaseBook` and `Runtime` know what is; here is only the order of things.
 */

import { type Clock, type Log, type Random, Scope } from "../../base/index.ts";
import { Failure, type Grant, type NodeId } from "../../core/index.ts";
import type { CreateRequest, LendLimits } from "../contract.ts";
import type { PushedImages } from "../image/pushed-images.ts";
import type { GpuDevice, ImageProgress, Runtime } from "../runtime/runtime.ts";
import type { SandboxId } from "../runtime/sandbox-id.ts";
import { admit, admitLifetime } from "./admission.ts";
import type { Guest, House, Machine } from "./house.ts";
import { type HoldKind, isPaused, type Lease, specOf } from "./lease.ts";
import type { LeaseBook } from "./lease-book.ts";
import type { LeaseStore } from "./lease-store.ts";
import { Makings, type MakingsOptions, type Note } from "./makings.ts";
import type { Insides } from "./insides.ts";
import type { SshFacts } from "./prepare-ssh.ts";
import type { Sampler } from "./sampler.ts";
import { eachOf, Turns, unlessAborted } from "./turns.ts";

export interface SandboxesDeps {
  readonly id: NodeId;
  readonly runtime: Runtime;
  readonly store: LeaseStore;
  readonly book: LeaseBook;
  readonly insides: Insides;
  readonly sampler: Pick<Sampler, "last">;
  readonly images: Pick<PushedImages, "find" | "bytes" | "use">;
  readonly grantOf: (id: NodeId) => Grant | undefined;
  /** Whether this node lends now. Its owner's own machines may use it all the same. */
  readonly lends: () => boolean;
  readonly machine: () => Machine;
  readonly gpus: (signal: AbortSignal) => Promise<readonly GpuDevice[]>;
  /** Resolves when it is known what the runtime can do. */
  readonly ready: () => Promise<void>;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** Sandboxes that are frozen, or removed, at the same time. */
const AT_ONCE = 32;
const HOST_SEED_BYTES = 32;
const STOPPED = "the owner stopped everything";

export class Sandboxes implements AsyncDisposable {
  readonly book: LeaseBook;
  readonly #deps: SandboxesDeps;
  readonly #scope = new Scope();
  readonly #turns = new Turns<SandboxId>();
  readonly #makings: Makings;
  #panicked: boolean;

  constructor(deps: SandboxesDeps, options: MakingsOptions = {}) {
    this.#deps = deps;
    this.book = deps.book;
    this.#makings = new Makings(this.#scope, options);
    this.#panicked = deps.store.panic;
  }

  get limits(): LendLimits {
    return this.#deps.store.limits;
  }

  set limits(limits: LendLimits) {
    this.#deps.store.limits = limits;
    this.#deps.log.info("the limits of lending have changed", { limits });
  }

  get panicked(): boolean {
    return this.#panicked;
  }

  /** Whether something is under way with it, so that what the runtime says of it may be old. */
  isBusy(id: SandboxId): boolean {
    return this.#makings.has(id) || this.#turns.isBusy(id);
  }

  /** What a decision about `gpus` would be made from. */
  house(
    gpus: readonly GpuDevice[] = [],
    asked: { readonly guest?: NodeId; readonly image?: string | undefined } = {},
  ): House {
    const { runtime, machine, images, grantOf, clock, random } = this.#deps;
    const { guest, image } = asked;
    return {
      facts: runtime.facts,
      machine: machine(),
      limits: this.limits,
      gpus,
      leases: this.book.all,
      isOwn: (id) => grantOf(id)?.kind === "own",
      ...(guest === undefined ? {} : { images: { bytes: images.bytes(guest), wanted: images.find(guest, image) } }),
      wallTime: clock.wallTime(),
      hostSeed: Buffer.from(random.bytes(HOST_SEED_BYTES)).toString("base64"),
    };
  }

  /**
   * Makes a sandbox, or joins in where the guest asked for the same id before.
   * @throws {Failure} conflict, busy, not-allowed, not-supported, bad-argument; what the runtime throws
   */
  async create(
    guest: Guest,
    { request, note }: { readonly request: CreateRequest; readonly note: Note },
    signal: AbortSignal,
  ): Promise<Lease> {
    await this.#deps.ready();
    const gpus = request.gpu === undefined ? [] : await this.#deps.gpus(signal);
    // From here to `begin` nothing waits: two requests cannot both be given what there is once.
    const known = this.#known(guest.id, request.id);
    if (known !== undefined && !this.#makings.has(known.id)) return known;
    if (known === undefined) this.#begin(guest, request, gpus);
    return await this.#makings.join(request.id, note, signal);
  }

  /** @throws {Failure} busy, not-allowed: nothing new is lent now */
  refuseNew({ grant }: Guest): void {
    if (this.panicked)
      throw new Failure("busy", "the owner has stopped everything on this node", { hint: "ask its owner" });
    if (grant.kind !== "own" && !this.#deps.lends())
      throw new Failure("not-allowed", "this node does not lend now", { hint: "ask its owner to run `p2prc -s`" });
  }

  /** @throws {Failure} not-allowed, conflict */
  extend(lease: Lease, guest: Guest, lifetimeMs: number): Lease {
    admitLifetime(lifetimeMs, guest, this.#deps.clock.wallTime());
    if (lease.state === "removing") throw ended();
    const longer = this.book.prolong(lease.id, lifetimeMs);
    if (longer === undefined) throw ended();
    this.#deps.log.info("lease extended", { sandbox: lease.id, guest: guest.id, expires: longer.expires });
    return longer;
  }

  /**
   * Removes it, and goes on with that when `signal` aborts. Content when it is gone. Where the runtime fails, the sandbox
   * stays shut and is removed later.
   * @throws {Failure} what the runtime throws
   */
  async remove(id: SandboxId, why: string, signal: AbortSignal): Promise<void> {
    const removed = this.#makings
      .giveUp(id, new Failure("conflict", `the sandbox was given up while it was made: ${why}`))
      .then(() => this.#turns.take(id, () => this.#remove(id, why)));
    this.#inBackground(removed);
    await unlessAborted(removed, signal);
  }

  /** Freezes it, and says why; holds add up. Content when it is gone. @throws {Failure} what the runtime throws */
  async hold(id: SandboxId, kind: HoldKind, why: string): Promise<void> {
    await this.#turns.take(id, async () => {
      const lease = this.book.get(id);
      if (lease?.state !== "running") return;
      const holds = [...lease.holds.filter((hold) => hold.kind !== kind), { kind, why }];
      this.book.change(id, { holds, unsettled: true });
      this.#deps.log.warn("sandbox frozen", { sandbox: id, guest: lease.guest, kind, why });
      await this.settle(id);
    });
  }

  /** Lets it go on where nothing else holds it. @throws {Failure} what the runtime throws */
  async release(id: SandboxId, kinds: readonly HoldKind[]): Promise<void> {
    await this.#turns.take(id, async () => {
      const lease = this.book.get(id);
      if (lease?.state !== "running" || !lease.holds.some(({ kind }) => kinds.includes(kind))) return;
      const holds = lease.holds.filter(({ kind }) => !kinds.includes(kind));
      this.book.change(id, { holds, unsettled: true });
      this.#deps.log.info("sandbox goes on", { sandbox: id, guest: lease.guest });
      await this.settle(id);
    });
  }

  /** Brings the runtime to what the holds say. Only in a turn of it. */
  async settle(id: SandboxId): Promise<void> {
    const lease = this.book.get(id);
    if (lease?.state !== "running" || !lease.unsettled) return;
    await this.#deps.runtime.pause(id, isPaused(lease), this.#scope.signal);
    this.book.change(id, { unsettled: false });
  }

  /** Runs `work` when nothing else is under way with the sandbox. */
  inTurn<T>(id: SandboxId, work: () => Promise<T>): Promise<T> {
    return this.#turns.take(id, work);
  }

  /**
   * On: freezes every sandbox, ends what is being made, and makes none until it is off.
   * @returns how many were frozen (or go on), and what could not be
   */
  async panic(on: boolean): Promise<{ readonly sandboxes: number; readonly problems: readonly string[] }> {
    this.#panicked = on;
    this.#deps.log.warn(on ? "panic: everything is frozen" : "panic has ended");
    const problems: string[] = [];
    let sandboxes = 0;
    const attempt = async (name: string, work: () => Promise<void>) => {
      try {
        await work();
      } catch (error) {
        if (!(error instanceof Failure)) throw error;
        problems.push(`${name}: ${error.message}`);
      }
    };
    await attempt("after a restart", async () => {
      this.#deps.store.panic = on;
    });
    await eachOf(this.book.all, AT_ONCE, ({ id, name }) =>
      attempt(name, async () => {
        if (on && this.#makings.has(id)) await this.remove(id, STOPPED, this.#scope.signal);
        else if (on) await this.hold(id, "panic", STOPPED);
        else await this.release(id, ["panic"]);
        sandboxes++;
      }),
    );
    return { sandboxes, problems };
  }

  /** Sandboxes stay; what is being made stays written as such, and is cleared away at the next start. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#scope.close();
  }

  /** The guest's own sandbox of that id. @throws {Failure} conflict */
  #known(guest: NodeId, id: SandboxId): Lease | undefined {
    const lease = this.book.get(id);
    // The same words whoever holds it: an id tells nobody who else is here.
    if (lease === undefined && this.book.endedGuest(id) !== undefined) throw taken();
    if (lease === undefined) return undefined;
    if (lease.guest !== guest || lease.state === "removing") throw taken();
    if (lease.state === "making" && !this.#makings.has(id)) throw stillClearing();
    return lease;
  }

  #begin(guest: Guest, request: CreateRequest, gpus: readonly GpuDevice[]): void {
    const { clock, log } = this.#deps;
    this.refuseNew(guest);
    this.#makings.refuseTooMany(guest.id);
    const lease = admit(request, guest, this.house(gpus, { guest: guest.id, image: request.image }));
    this.book.add(lease);
    const { id, name, image, cpus, memoryBytes } = lease;
    log.info("sandbox begun", { sandbox: id, guest: guest.id, name, image, cpus, memoryBytes, at: clock.wallTime() });
    this.#makings.begin(lease, (note, signal) => this.#make(lease, note, signal));
  }

  async #make(lease: Lease, note: Note, signal: AbortSignal): Promise<Lease> {
    const { runtime, insides, id: node, log } = this.#deps;
    const { id } = lease;
    try {
      const pulled = ({ layers }: ImageProgress) => layers.done >= layers.all;
      const told = (progress: ImageProgress) => note({ step: pulled(progress) ? "starting" : "pulling", ...progress });
      await runtime.create({ ...specOf(lease, node), pushed: this.#deps.images.use(lease) }, told, signal);
      note({ step: "verifying" });
      const ssh = await insides.prepare(lease, signal);
      signal.throwIfAborted();
      const running = this.#running(lease, ssh);
      if (running === undefined) throw ended();
      log.info("sandbox runs", { sandbox: id, guest: lease.guest, expires: running.expires });
      return running;
    } catch (error) {
      if (!this.#scope.signal.aborted) await this.#undo(lease, error);
      throw error;
    }
  }

  /** Its time begins now, and ends with the grant at the latest. */
  #running(lease: Lease, ssh: SshFacts): Lease | undefined {
    const { clock, grantOf } = this.#deps;
    const made = clock.wallTime();
    const untilEnd = (grantOf(lease.guest)?.until ?? Number.POSITIVE_INFINITY) - made;
    return this.book.prolong(lease.id, Math.min(lease.lifetimeMs, untilEnd), { ...ssh, state: "running", made });
  }

  /** What could not be made leaves nothing: its id may be asked for again. */
  async #undo(lease: Lease, error: unknown): Promise<void> {
    const { runtime, insides, log } = this.#deps;
    const reason = error instanceof Error ? error.message : String(error);
    log.warn("sandbox not made", { sandbox: lease.id, guest: lease.guest, why: reason });
    insides.close(lease.id);
    try {
      await runtime.remove(lease.id, this.#scope.signal);
      this.book.forget(lease.id);
    } catch (left) {
      log.warn("what is left of a sandbox is removed later", { sandbox: lease.id, error: left });
    }
  }

  async #remove(id: SandboxId, why: string): Promise<void> {
    const { runtime, insides, sampler, log } = this.#deps;
    const lease = this.book.get(id);
    if (lease === undefined) return;
    // One that never ran stays written as being made until nothing is left of it: its id may be asked for again.
    if (lease.state === "running" || lease.state === "stopped") {
      if (lease.state === "running") await sampler.last(lease, this.#scope.signal);
      this.book.change(id, { state: "removing", reason: why });
      log.info("sandbox removed", { sandbox: id, guest: lease.guest, why });
    }
    insides.close(id);
    await runtime.remove(id, this.#scope.signal);
    if (lease.state === "making") this.book.forget(id);
    else this.book.end(id);
  }

  #inBackground(work: Promise<void>): void {
    if (this.#scope.signal.aborted) return;
    this.#scope.spawn(async () => {
      await work.catch(() => undefined); // whoever asked hears of it; the keeper tries again
    });
  }
}

function ended(): Failure {
  return new Failure("not-found", "that sandbox has ended", { hint: "`p2prc ps` lists those that run" });
}

function taken(): Failure {
  return new Failure("conflict", "that id was used before", { hint: "a new sandbox takes a new id" });
}

function stillClearing(): Failure {
  return new Failure("busy", "what an earlier try left is being cleared away", { hint: "try again in a moment" });
}
