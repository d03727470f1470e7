/** The owner's side of sandboxes in one piece: what keeps leases, wired together. */

import type { DatabaseSync } from "node:sqlite";
import type { FastifyPluginAsync } from "fastify";
import { type Clock, type Log, type Random, Scope } from "../../base/index.ts";
import { type Caller, defaultGrant, Failure, type Grant, type NodeId } from "../../core/index.ts";
import { serveSandboxes } from "../serve.ts";
import { serveOwner } from "../serve-owner.ts";
import type { GpuDevice, Runtime } from "../runtime/runtime.ts";
import { PushedImages } from "../image/pushed-images.ts";
import { serveImages } from "../image/serve.ts";
import { TimedRuntime } from "../runtime/timed-runtime.ts";
import type { Guest, Machine } from "./house.ts";
import { Insides, type InsidesDeps } from "./insides.ts";
import { Keeper } from "./keeper.ts";
import { LeaseBook } from "./lease-book.ts";
import { LeaseStore } from "./lease-store.ts";
import { prepareSsh } from "./prepare-ssh.ts";
import { Publications } from "./publish.ts";
import { Reconciler } from "./reconciler.ts";
import { Sampler } from "./sampler.ts";
import { Sandboxes } from "./sandboxes.ts";
import { Streams } from "./streams.ts";
import { WallWatch } from "./wall-watch.ts";

export interface LeasesDeps {
  /** This node's own id: its person's sandboxes here go by it. */
  readonly id: NodeId;
  readonly runtime: Runtime & { readonly found?: boolean; ready?(): Promise<void> };
  readonly database: DatabaseSync;
  readonly grantOf: (id: NodeId) => Grant | undefined;
  readonly nameOf: (id: NodeId) => string;
  readonly lends: () => boolean;
  readonly machine: () => Machine;
  readonly gpus: (signal: AbortSignal) => Promise<readonly GpuDevice[]>;
  /** @default asks the resident */
  readonly prepareSsh?: InsidesDeps["prepareSsh"];
  /** `<home>/images` */
  readonly imageFolder: string;
  /** At which this node listens: ports are published there. */
  readonly hosts: () => readonly string[];
  /** Ends every link on which a guest asks. */
  readonly hangUp: () => void;
  readonly stopLending: (signal: AbortSignal) => Promise<void>;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** A node that begins to lend looks what it can make. */
const LOOK_EVERY_MS = 1_000;

export class Leases implements AsyncDisposable {
  readonly sandboxes: Sandboxes;
  readonly streams: Streams;
  readonly reconciler: Reconciler;
  readonly plugins: readonly FastifyPluginAsync[];
  readonly #deps: LeasesDeps;
  readonly #keeper: Keeper;
  readonly publications: Publications;
  readonly images: PushedImages;
  readonly #scope = new Scope();

  constructor(deps: LeasesDeps) {
    this.#deps = deps;
    const { id, database, clock, log, gpus, nameOf, hosts, hangUp, stopLending } = deps;
    const runtime = new TimedRuntime(deps.runtime, clock);
    const ready = async () => await deps.runtime.ready?.();
    const needed = () => deps.lends() || deps.runtime.found !== false;
    const store = new LeaseStore(deps.database);
    const book = new LeaseBook({ store, clock, log });
    const insides = this.#scope.own(new Insides({ runtime, prepareSsh: deps.prepareSsh ?? prepareSsh, clock }));
    const ownGrant: Grant = { ...defaultGrant, kind: "own" };
    const grantOf = (guest: NodeId) => (guest === id ? ownGrant : deps.grantOf(guest));
    const guestOf = (caller: Caller): Guest => {
      const guest = caller.kind === "node" ? caller.id : id;
      const grant = caller.kind === "anonymous" ? undefined : grantOf(guest);
      if (grant !== undefined) return { id: guest, grant };
      throw new Failure("not-allowed", "this node does not lend to you", { hint: "ask its owner for an invite" });
    };
    const streams = new Streams({ book, insides, guestOf });
    const takeLinkBytes = streams.takeBytes.bind(streams);
    const sampler = new Sampler({ book, runtime, takeLinkBytes, clock, log });
    const images = new PushedImages({
      ...deps,
      folder: deps.imageFolder,
      leases: () => book.all,
      limits: () => store.limits,
      grantOf,
      runtime,
    });
    this.images = images;
    const sandboxes = this.#scope.own(
      new Sandboxes({ ...deps, runtime, store, book, insides, sampler, images, grantOf, ready }),
    );
    this.sandboxes = sandboxes;
    this.streams = streams;
    this.reconciler = new Reconciler({ id, sandboxes, insides, runtime, needed, ready, log });
    const wallWatch = new WallWatch({ sandboxes, runtime, log });
    const { reconciler } = this;
    this.#keeper = new Keeper({ sandboxes, reconciler, wallWatch, sampler, runtime, grantOf, clock, log });
    const publications = this.#scope.own(new Publications({ database, book, streams, grantOf, hosts, clock, log }));
    this.publications = publications;
    const wallTime = () => clock.wallTime();
    this.plugins = [
      serveSandboxes({ sandboxes, streams, publications, runtime, gpus, guestOf, ready, log }),
      serveImages({ images, guestOf, log }),
      serveOwner({ sandboxes, store, sampler, streams, publications, runtime, nameOf, hangUp, stopLending, wallTime }),
    ];
  }

  async run(signal: AbortSignal): Promise<void> {
    await using scope = new Scope(signal);
    scope.spawn((ending) => this.#keeper.run(ending));
    scope.spawn((ending) => this.#lookAhead(ending));
    scope.spawn((ending) => this.publications.run(ending));
    scope.spawn((ending) => this.images.run(ending));
    await new Promise((resolve) => scope.signal.addEventListener("abort", resolve, { once: true }));
  }

  /** The first guest should not wait until a runtime is found. */
  async #lookAhead(signal: AbortSignal): Promise<void> {
    const { runtime, lends, clock } = this.#deps;
    while (runtime.found === false) {
      if (lends()) await runtime.ready?.();
      await clock.sleep(LOOK_EVERY_MS, signal);
    }
  }

  /** Sandboxes stay. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#scope.close();
  }
}
