/**
 * Sandboxes that are being made. Each goes on though whoever asked for it leaves, since asking again with the same id
 * joins in; so many at once, so many in line, and the rest is refused.
 */

import { type Scope, Topic } from "../../base/index.ts";
import { Failure, type NodeId } from "../../core/index.ts";
import type { CreateProgress } from "../contract.ts";
import type { SandboxId } from "../runtime/sandbox-id.ts";
import type { Lease } from "./lease.ts";
import { Line } from "./line.ts";
import { unlessAborted } from "./turns.ts";

export interface MakingsOptions {
  /** A guest's, with those in line. @default 64 */
  readonly maxPerGuest?: number;
  /** Everybody's, with those in line. @default 256 */
  readonly maxInAll?: number;
}

export type Note = (progress: CreateProgress) => void;

/** What is made at the same time: it keeps some processors busy, and one guest's fifty leave room for another's one. */
const AT_ONCE = { perKey: 4, inAll: 32 };

interface Making {
  readonly guest: NodeId;
  readonly giveUp: AbortController;
  readonly progress: Topic<CreateProgress>;
  latest: CreateProgress;
  readonly done: Promise<Lease>;
}

/** Who waits for one making: a guest asks again after a lost reply, not a hundred times. */
const MAX_WAITING = 64;

export class Makings {
  readonly #options: Required<MakingsOptions>;
  readonly #scope: Scope;
  readonly #line = new Line<NodeId>(AT_ONCE);
  readonly #makings = new Map<SandboxId, Making>();

  /** @param scope ends every making when it closes */
  constructor(scope: Scope, { maxPerGuest = 64, maxInAll = 256 }: MakingsOptions = {}) {
    this.#scope = scope;
    this.#options = { maxPerGuest, maxInAll };
  }

  has(id: SandboxId): boolean {
    return this.#makings.has(id);
  }

  /** @throws {Failure} busy */
  refuseTooMany(guest: NodeId): void {
    const { maxPerGuest, maxInAll } = this.#options;
    const theirs = [...this.#makings.values()].filter((making) => making.guest === guest).length;
    if (theirs < maxPerGuest && this.#makings.size < maxInAll) return;
    const which = theirs < maxPerGuest ? `${this.#makings.size} sandboxes` : `${theirs} sandboxes of yours`;
    throw new Failure("busy", `this node is making ${which} already`, { hint: "try again in a moment" });
  }

  /** Begins. What `work` throws is for those who wait. */
  begin(lease: Lease, work: (note: Note, signal: AbortSignal) => Promise<Lease>): void {
    const giveUp = new AbortController();
    const { promise: done, resolve, reject } = Promise.withResolvers<Lease>();
    done.catch(() => undefined); // nobody may be waiting any more
    const making: Making = { guest: lease.guest, giveUp, progress: new Topic(), latest: { step: "admitted" }, done };
    this.#makings.set(lease.id, making);
    const note = (progress: CreateProgress) => {
      making.latest = progress;
      making.progress.publish(progress);
    };
    this.#scope.spawn(async (signal) => {
      const ending = AbortSignal.any([signal, giveUp.signal]);
      const leave = await this.#line.enter(lease.guest, ending);
      const outcome = work(note, ending).finally(() => {
        leave();
        this.#makings.delete(lease.id);
      });
      await outcome.then(resolve, reject);
    });
  }

  /** The sandbox when it is made; `note` hears how it goes. @throws {Failure} busy; what the making throws */
  async join(id: SandboxId, note: Note, signal: AbortSignal): Promise<Lease> {
    const making = this.#makings.get(id);
    if (making === undefined) throw new Error("nothing is being made");
    if (making.progress.listenerCount >= MAX_WAITING)
      throw new Failure("busy", "many wait for that sandbox already", {
        hint: "it is being made; look with `p2prc ps`",
      });
    note(making.latest);
    using _ = making.progress.on(note);
    return await unlessAborted(making.done, signal);
  }

  /** Ends a making, and resolves when it has ended, however. */
  async giveUp(id: SandboxId, why: Failure): Promise<void> {
    const making = this.#makings.get(id);
    if (making === undefined) return;
    making.giveUp.abort(why);
    await making.done.catch(() => undefined); // whoever waits for it hears of that
  }
}
