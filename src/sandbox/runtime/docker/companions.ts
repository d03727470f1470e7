/** The companions of this node's sandboxes: made before them, spoken to while they run, found again after a restart. */

import { Failure } from "../../../core/index.ts";
import type { SandboxSpec } from "../runtime.ts";
import type { SandboxId } from "../sandbox-id.ts";
import { CompanionLine, companionRequest, type CompanionSurroundings } from "./companion.ts";
import type { Containers } from "./containers.ts";
import type { EgressOptions } from "./egress.ts";
import { type Engine, unless } from "./engine.ts";
import { companionName, labels, NETWORK_NAME } from "./words.ts";

export interface CompanionsDeps {
  readonly engine: Engine;
  readonly containers: Containers;
  readonly around: CompanionSurroundings;
  /** What may not be reached, as it is now. */
  readonly egress: () => EgressOptions;
}

export class Companions implements AsyncDisposable {
  readonly #deps: CompanionsDeps;
  readonly #lines = new Map<SandboxId, CompanionLine>();
  #network: Promise<void> | undefined;

  constructor(deps: CompanionsDeps) {
    this.#deps = deps;
  }

  /** Resolves with the container's id when it runs and its rules stand. */
  async create(spec: SandboxSpec, signal: AbortSignal): Promise<string> {
    const { containers, around, engine, egress } = this.#deps;
    await this.#ensureNetwork(signal);
    const container = await containers.create(companionName(spec.id), companionRequest(spec, around), signal);
    const [line] = await Promise.all([
      CompanionLine.open(engine, container, signal),
      containers.start(container, signal),
    ]);
    this.#lines.set(spec.id, line);
    await line.load(egress(), signal);
    return container;
  }

  /** Writes the rules of a running companion again, as after a change of this host's addresses. */
  async renew(id: SandboxId, signal: AbortSignal): Promise<void> {
    await (await this.#line(id, signal)).load(this.#deps.egress(), signal);
  }

  /** What its rules lack, in words. */
  async faults(id: SandboxId, signal: AbortSignal): Promise<readonly string[]> {
    try {
      return await (await this.#line(id, signal)).faults(this.#deps.egress(), signal);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      return [error.message];
    }
  }

  forget(id: SandboxId): void {
    void this.#lines.get(id)?.[Symbol.asyncDispose]();
    this.#lines.delete(id);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const id of [...this.#lines.keys()]) this.forget(id);
  }

  async #line(id: SandboxId, signal: AbortSignal): Promise<CompanionLine> {
    const known = this.#lines.get(id);
    if (known?.open === true) return known;
    const found = await this.#deps.containers.inspect(companionName(id), signal);
    if (found?.State.Running !== true) {
      throw new Failure("runtime-failed", "the container that holds the network rules is not running");
    }
    const line = await CompanionLine.open(this.#deps.engine, found.Id, signal);
    this.#lines.set(id, line);
    return line;
  }

  /** One bridge for all of them: an engine has addresses for some thirty. Its containers cannot speak to each other. */
  async #ensureNetwork(signal: AbortSignal): Promise<void> {
    this.#network ??= this.#createNetwork(signal);
    try {
      await this.#network;
    } catch (error) {
      this.#network = undefined;
      throw error;
    }
  }

  async #createNetwork(signal: AbortSignal): Promise<void> {
    const { engine } = this.#deps;
    const look = { method: "GET", path: `/networks/${NETWORK_NAME}` } as const;
    if ((await unless(404, undefined, engine.ask(look, signal))) !== undefined) return;
    const body = {
      Name: NETWORK_NAME,
      CheckDuplicate: true,
      Driver: "bridge",
      EnableIPv6: false,
      Options: { "com.docker.network.bridge.enable_icc": "false" },
      Labels: { [labels.role]: "network" },
    };
    await unless(409, undefined, engine.ask({ method: "POST", path: "/networks/create", body }, signal));
  }
}
