/**
 * Sandboxes as containers of an engine on this machine: Docker, or Podman's socket.
 *
 * A sandbox is a container whose main process is nobody's, and a companion that owns its network namespace
 * (`companion.ts`). The engine is the book: what there is is found by label, so nothing here outlives a daemon.
 */

import type { Duplex, Readable } from "node:stream";
import { type Clock, Topic } from "../../../base/index.ts";
import { Failure } from "../../../core/index.ts";
import { Inside } from "../../inside/inside.ts";
import type {
  FoundSandbox,
  ImageProgress,
  PushedImage,
  LogsOptions,
  Runtime,
  RuntimeFacts,
  SandboxSpec,
  SandboxStats,
} from "../runtime.ts";
import { Entered } from "../entered.ts";
import { isSandboxId, type SandboxId } from "../sandbox-id.ts";
import { Canaries } from "./canaries.ts";
import { insideFaults } from "./check-inside.ts";
import type { Companions } from "./companions.ts";
import { type Containers, foundSandboxes, type InspectedContainer, profileOf, stopReason } from "./containers.ts";
import type { DiskWatch } from "./disk-watch.ts";
import { type Engine, engineFailure } from "./engine.ts";
import type { EngineImage } from "./images.ts";
import { beginsWithResident, NO_LOG, sandboxRequest, type Surroundings } from "./sandbox-request.ts";
import { emptyLog, readLog } from "./logs.ts";
import { readStats } from "./stats.ts";
import { answers, attach, enter } from "./way-inside.ts";
import { containerName, labels } from "./words.ts";

export interface DockerRuntimeDeps {
  readonly engine: Engine;
  readonly containers: Containers;
  readonly companions: Companions;
  readonly facts: RuntimeFacts;
  readonly around: Omit<Surroundings, "companion" | "image" | "volumes" | "env">;
  /** The image of a spec, the default one too, got where it is not here yet. */
  readonly image: (
    wanted: Pick<SandboxSpec, "image" | "pushed">,
    note: (progress: ImageProgress) => void,
    signal: AbortSignal,
  ) => Promise<EngineImage>;
  readonly forgetImage: (image: PushedImage, signal: AbortSignal) => Promise<void>;
  /** This host's, as they are now. */
  readonly addresses: () => readonly string[];
  readonly clock: Clock;
  /** Knows how much each has written, and why one is frozen. */
  readonly disk: Pick<DiskWatch, "bytes" | "reason">;
  readonly onDispose: () => Promise<void>;
}

/** Rules are read at each `verify`; what they do is tried from inside as often as this, and when an address is new. */
const LOOK_INSIDE_MS = 5 * 60_000;

interface Making {
  readonly done: Promise<void>;
  readonly giveUp: (reason: Error) => void;
}

export class DockerRuntime implements Runtime {
  readonly facts: RuntimeFacts;
  readonly frozen = new Topic<SandboxId>();
  readonly #deps: DockerRuntimeDeps;
  readonly #makings = new Map<SandboxId, Making>();
  readonly #entered = new Entered();
  /** When each was last looked at from inside, and from which addresses. */
  readonly #lookedInside = new Map<SandboxId, { readonly at: number; readonly addresses: string }>();

  constructor(deps: DockerRuntimeDeps) {
    this.#deps = deps;
    this.facts = deps.facts;
  }

  async create(spec: SandboxSpec, note: (progress: ImageProgress) => void, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const going = this.#makings.get(spec.id);
    if (going !== undefined) return await going.done;
    const own = new AbortController();
    const onAbort = () => own.abort(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    const done = this.#createOnce(spec, note, own.signal);
    this.#makings.set(spec.id, { done, giveUp: (reason) => own.abort(reason) });
    try {
      await done;
    } finally {
      this.#makings.delete(spec.id);
      signal.removeEventListener("abort", onAbort);
    }
  }

  async #createOnce(spec: SandboxSpec, note: (progress: ImageProgress) => void, signal: AbortSignal): Promise<void> {
    const { containers } = this.#deps;
    const looking = [
      containers.inspect(containerName(spec.id), signal),
      containers.list({ id: spec.id }, signal),
    ] as const;
    const [there, parts] = await this.#asked(Promise.all(looking), "look for it");
    if (there?.State.Running === true && (await this.#faults(there, spec.id, signal)).length === 0) return;
    try {
      if (parts.length > 0) await this.#removeAll(spec.id, signal); // what a daemon that was killed left half-made
      await this.#make(spec, note, signal);
    } catch (error) {
      await this.#removeAll(spec.id, new AbortController().signal);
      throw engineFailure(error, "make the sandbox");
    }
  }

  forgetImage(image: PushedImage, signal: AbortSignal): Promise<void> {
    return this.#deps.forgetImage(image, signal);
  }

  async #make(spec: SandboxSpec, note: (progress: ImageProgress) => void, signal: AbortSignal): Promise<void> {
    const { containers, companions, around } = this.#deps;
    const network = spec.network === "internet";
    if (network && !this.facts.walls.networkFilter) {
      throw new Failure("not-supported", "this node has nothing to filter a network with, so it gives none", {
        hint: "ask for `--network none`; the owner can install nftables",
      });
    }
    const unfinished = { ...around, image: "", volumes: [], env: [], companion: network ? "" : undefined };
    sandboxRequest(spec, unfinished); // what is refused is refused before anything is fetched
    const image = await this.#deps.image(spec, note, signal);
    const companion = network ? await companions.create(spec, signal) : undefined;
    const known = { ...around, image: image.id, volumes: image.volumes, env: image.env, companion };
    const container = await containers.create(containerName(spec.id), sandboxRequest(spec, known), signal);
    await using entering = new AsyncDisposableStack();
    const inside = entering.use(await this.#begin(container, spec, signal));
    const [seen, told] = await Promise.all([
      this.#insideFaults(inside, { ...spec, isolated: !network }, signal),
      this.#find(spec.id, signal).then((found) => this.#faults(found, spec.id, signal)),
    ]);
    const faults = [...seen, ...told];
    if (faults.length > 0) throw new Failure("runtime-failed", `the walls do not hold: ${faults.join("; ")}`);
    entering.move();
    this.#entered.keep(spec.id, inside);
  }

  /** Starts a container that was made, and goes in. */
  async #begin(container: string, spec: SandboxSpec, signal: AbortSignal): Promise<Inside> {
    const { engine, containers, clock, around } = this.#deps;
    if (!beginsWithResident(spec, around.kind)) {
      await containers.start(container, signal);
      return await Inside.open(await enter(engine, await this.#find(spec.id, signal), signal), { clock }, signal);
    }
    const attached = await attach(engine, container, signal);
    try {
      await containers.start(container, signal);
      await answers(attached, signal);
    } catch (error) {
      attached.destroy();
      throw error;
    }
    return await Inside.open(attached, { clock }, signal);
  }

  async remove(id: SandboxId, signal: AbortSignal): Promise<void> {
    const making = this.#makings.get(id);
    making?.giveUp(new Failure("conflict", "the sandbox was removed while it was made"));
    await making?.done.catch(() => undefined); // whoever asked for it hears of it
    await this.#asked(this.#removeAll(id, signal), "remove the sandbox");
  }

  async #removeAll(id: SandboxId, signal: AbortSignal): Promise<void> {
    await this.#entered.close(id);
    this.#lookedInside.delete(id);
    await this.#deps.containers.removeAll(id, signal);
    this.#deps.companions.forget(id);
  }

  async pause(id: SandboxId, paused: boolean, signal: AbortSignal): Promise<void> {
    const found = await this.#find(id, signal);
    if (found.State.Paused === paused) return;
    const path = `/containers/${found.Id}/${paused ? "pause" : "unpause"}`;
    await this.#asked(this.#deps.engine.ask({ method: "POST", path }, signal), paused ? "freeze it" : "let it go on");
  }

  /** For what watches over it, which nobody asked for that. */
  async freeze(id: SandboxId, signal: AbortSignal): Promise<void> {
    await this.pause(id, true, signal);
    this.frozen.publish(id);
  }

  async list(signal: AbortSignal): Promise<readonly FoundSandbox[]> {
    const { containers } = this.#deps;
    const listed = await this.#asked(containers.list({}, signal), "list sandboxes");
    const reasons = new Map<string, string>();
    for (const { Id, State, Labels } of listed) {
      const id = Labels[labels.id] ?? "";
      const paused = State === "paused" && isSandboxId(id) ? this.#deps.disk.reason(id) : undefined;
      if (paused !== undefined) reasons.set(Id, paused);
      if (State === "running" || State === "paused") continue;
      const closer = await containers.inspect(Id, signal);
      if (closer !== undefined) reasons.set(Id, stopReason(closer));
    }
    return foundSandboxes(listed, reasons);
  }

  async stats(id: SandboxId, signal: AbortSignal): Promise<SandboxStats> {
    const { Id } = await this.#find(id, signal);
    return await this.#asked(readStats(this.#deps, { id, container: Id }, signal), "measure it");
  }

  async logs(id: SandboxId, options: LogsOptions, signal: AbortSignal): Promise<Readable> {
    const { Id, HostConfig } = await this.#find(id, signal);
    if (HostConfig.LogConfig?.Type === NO_LOG.Type)
      return emptyLog(this.#deps.engine, { container: Id, ...options }, signal);
    return await this.#asked(readLog(this.#deps.engine, { container: Id, ...options }, signal), "read its log");
  }

  async open(id: SandboxId, signal: AbortSignal): Promise<Duplex> {
    const found = await this.#find(id, signal);
    return await this.#asked(enter(this.#deps.engine, found, signal), "enter it");
  }

  entered(id: SandboxId): Inside | undefined {
    return this.#entered.take(id);
  }

  async verify(id: SandboxId, signal: AbortSignal): Promise<readonly string[]> {
    const found = await this.#find(id, signal);
    const faults = await this.#faults(found, id, signal);
    if (faults.length > 0 || !found.State.Running || found.State.Paused) return faults;
    const last = this.#lookedInside.get(id);
    const due = last === undefined || this.#deps.clock.now() - last.at > LOOK_INSIDE_MS;
    if (!due && last.addresses === this.#addresses()) return [];
    // A resident of its own for it: seldom, since that costs a tenth of a second.
    const { engine, clock } = this.#deps;
    await using inside = await Inside.open(await enter(engine, found, signal), { clock }, signal);
    return await this.#insideFaults(inside, { id, profile: profileOf(found), isolated: isIsolated(found) }, signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { giveUp } of this.#makings.values()) giveUp(new Failure("daemon-failed", "the daemon ends"));
    await Promise.allSettled([...this.#makings.values()].map(({ done }) => done));
    await this.#entered.closeAll();
    await this.#deps.companions[Symbol.asyncDispose]();
    await this.#deps.onDispose();
  }

  async #faults(found: InspectedContainer, id: SandboxId, signal: AbortSignal): Promise<readonly string[]> {
    if (!found.State.Running) return [`it does not run: ${stopReason(found)}`];
    if (isIsolated(found)) return [];
    return await this.#deps.companions.faults(id, signal);
  }

  async #insideFaults(
    inside: Inside,
    { id, profile, isolated }: Pick<SandboxSpec, "id" | "profile"> & { readonly isolated: boolean },
    signal: AbortSignal,
  ): Promise<readonly string[]> {
    const { clock, around, addresses } = this.#deps;
    await using canaries = await Canaries.open(isolated ? [] : addresses(), signal);
    const seen = await inside.probe(canaries.targets, signal);
    this.#lookedInside.set(id, { at: clock.now(), addresses: this.#addresses() });
    const { seccomp } = this.facts.walls;
    return insideFaults(seen, {
      profile,
      seccomp,
      userNamespace: around.userNamespace,
      gvisor: around.gvisor && isolated,
    });
  }

  #addresses(): string {
    return this.#deps.addresses().join(" ");
  }

  async #find(id: SandboxId, signal: AbortSignal): Promise<InspectedContainer> {
    const found = await this.#asked(this.#deps.containers.inspect(containerName(id), signal), "look for it");
    if (found === undefined) throw new Failure("not-found", `there is no sandbox "${id}"`);
    return found;
  }

  async #asked<T>(work: Promise<T>, doing: string): Promise<T> {
    try {
      return await work;
    } catch (error) {
      throw engineFailure(error, doing);
    }
  }
}

/** Whether it has no network but its own loopback. */
function isIsolated({ HostConfig }: InspectedContainer): boolean {
  return !HostConfig.NetworkMode.startsWith("container:");
}
