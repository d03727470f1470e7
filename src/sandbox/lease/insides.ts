/**
 * The ways into sandboxes: one kept open for each, since opening one may cost an engine's exec, and asked for everything.
 *
 * One that ends is opened anew by whoever needs it next.
 */

import { type Clock, Scope } from "../../base/index.ts";
import { Inside } from "../inside/inside.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { SandboxId } from "../runtime/sandbox-id.ts";
import type { Lease } from "./lease.ts";
import type { SshFacts } from "./prepare-ssh.ts";
import { unlessAborted } from "./turns.ts";

export interface InsidesDeps {
  readonly runtime: Pick<Runtime, "open" | "entered">;
  /** Makes a fresh sandbox ready for its guest's key. */
  readonly prepareSsh: (inside: Inside, lease: Lease, signal: AbortSignal) => Promise<SshFacts>;
  readonly clock: Clock;
}

export class Insides implements AsyncDisposable {
  readonly #deps: InsidesDeps;
  readonly #scope = new Scope();
  readonly #insides = new Map<SandboxId, Promise<Inside>>();

  constructor(deps: InsidesDeps) {
    this.#deps = deps;
  }

  /** @throws {Failure} not-found, runtime-failed, link-lost, timed-out */
  async open(id: SandboxId, signal: AbortSignal): Promise<Inside> {
    const kept = this.#insides.get(id);
    const inside = await unlessAborted(kept ?? this.#begin(id), signal);
    if (inside.open) return inside;
    // It broke, and nobody has been told yet.
    if (this.#insides.get(id) === kept) this.#insides.delete(id);
    return await unlessAborted(this.#insides.get(id) ?? this.#begin(id), signal);
  }

  /** The first thing that is done in a sandbox: whoever gets in finds it ready. */
  async prepare(lease: Lease, signal: AbortSignal): Promise<SshFacts> {
    return await this.#deps.prepareSsh(await this.open(lease.id, signal), lease, signal);
  }

  /** Ends everything that goes on inside from here. */
  close(id: SandboxId): void {
    const inside = this.#insides.get(id);
    this.#insides.delete(id);
    inside?.then(
      (open) => open[Symbol.asyncDispose](),
      () => undefined, // it never opened: whoever asked heard of it
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const id of [...this.#insides.keys()]) this.close(id);
    await this.#scope.close();
  }

  #begin(id: SandboxId): Promise<Inside> {
    const { runtime, clock } = this.#deps;
    const forget = () => {
      if (this.#insides.get(id) === opening) this.#insides.delete(id);
    };
    const open = async () => {
      const { signal } = this.#scope;
      const inside = runtime.entered?.(id) ?? (await Inside.open(await runtime.open(id, signal), { clock }, signal));
      void inside.ended.then(forget);
      return inside;
    };
    const opening = open();
    opening.catch(forget);
    this.#insides.set(id, opening);
    return opening;
  }
}
