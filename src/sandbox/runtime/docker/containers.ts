/** The containers of this node's sandboxes, as the engine knows them: found by label, named, started, removed. */

import type { FoundSandbox, Profile, SandboxState } from "../runtime.ts";
import { isSandboxId, type SandboxId } from "../sandbox-id.ts";
import { type Engine, unless } from "./engine.ts";
import { labels, type Part } from "./words.ts";

/** As the list has it. */
export interface ListedContainer {
  readonly Id: string;
  readonly State: string;
  readonly Status?: string;
  readonly Labels: Readonly<Record<string, string>>;
  readonly SizeRw?: number;
}

/** As a closer look has it. */
export interface InspectedContainer {
  readonly Id: string;
  readonly Config: {
    readonly Env?: readonly string[] | null;
    readonly Labels: Readonly<Record<string, string>>;
    readonly User: string;
  };
  readonly HostConfig: { readonly NetworkMode: string; readonly LogConfig?: { readonly Type: string } };
  readonly State: {
    readonly Status: string;
    readonly Running: boolean;
    readonly Paused: boolean;
    readonly OOMKilled?: boolean;
    readonly ExitCode?: number;
    readonly Error?: string;
  };
}

export class Containers {
  readonly #engine: Engine;
  readonly #keeper: string;

  constructor(engine: Engine, keeper: string) {
    this.#engine = engine;
    this.#keeper = keeper;
  }

  /** All of them, whatever their state. @param sizes costs the engine a walk over each one's files */
  list(which: { readonly role?: Part; readonly id?: SandboxId; readonly sizes?: boolean }, signal: AbortSignal) {
    const label = [`${labels.keeper}=${this.#keeper}`];
    if (which.role !== undefined) label.push(`${labels.role}=${which.role}`);
    if (which.id !== undefined) label.push(`${labels.id}=${which.id}`);
    const query = { all: true, size: which.sizes === true, filters: JSON.stringify({ label }) };
    return this.#engine.ask<readonly ListedContainer[]>({ method: "GET", path: "/containers/json", query }, signal);
  }

  /** Undefined: there is none. @param name of the container, or its id */
  inspect(name: string, signal: AbortSignal): Promise<InspectedContainer | undefined> {
    const call = { method: "GET", path: `/containers/${name}/json` } as const;
    return unless(404, undefined, this.#engine.ask<InspectedContainer>(call, signal));
  }

  async create(name: string, body: object, signal: AbortSignal): Promise<string> {
    const call = { method: "POST", path: "/containers/create", query: { name }, body } as const;
    return (await this.#engine.ask<{ readonly Id: string }>(call, signal)).Id;
  }

  async start(id: string, signal: AbortSignal): Promise<void> {
    await this.#engine.ask({ method: "POST", path: `/containers/${id}/start` }, signal);
  }

  /** Its processes, its files and its own volumes. Content when it is gone, or about to be. */
  async remove(id: string, signal: AbortSignal): Promise<void> {
    const path = `/containers/${id}`;
    const removal = this.#engine.ask({ method: "DELETE", path, query: { force: true, v: true } }, signal);
    const outcome = await unless(409, "going", unless(404, "gone", removal));
    if (outcome !== "going") return;
    const query = { condition: "removed" };
    await unless(404, undefined, this.#engine.ask({ method: "POST", path: `${path}/wait`, query }, signal));
  }

  /** Everything that belongs to one sandbox: it, then its companion. */
  async removeAll(id: SandboxId, signal: AbortSignal): Promise<void> {
    const found = await this.list({ id }, signal);
    const sandboxesFirst = found.toSorted((one, other) => rank(one) - rank(other));
    for (const { Id } of sandboxesFirst) await this.remove(Id, signal);
  }
}

const rank = ({ Labels }: ListedContainer): number => (Labels[labels.role] === "sandbox" ? 0 : 1);

/** What the list says of sandboxes, half-made ones too: of those a companion may be all that there is. */
export function foundSandboxes(
  containers: readonly ListedContainer[],
  reasons: ReadonlyMap<string, string>,
): readonly FoundSandbox[] {
  const found = new Map<SandboxId, FoundSandbox>();
  for (const container of containers.toSorted((one, other) => rank(other) - rank(one))) {
    const id = container.Labels[labels.id] ?? "";
    if (!isSandboxId(id)) continue;
    const reason = rank(container) === 0 ? reasons.get(container.Id) : "it was never finished";
    const state = rank(container) === 0 ? stateOf(container.State) : "stopped";
    const said = parseLabels(container.Labels[labels.spec]);
    found.set(id, { id, state, labels: said, ...(reason === undefined ? {} : { reason }) });
  }
  return [...found.values()];
}

export function stateOf(status: string): SandboxState {
  if (status === "running") return "running";
  return status === "paused" ? "paused" : "stopped";
}

/** Why a container is not running, in words. */
export function stopReason({ State }: InspectedContainer): string {
  if (State.Status === "created") return "it was never started";
  if (State.OOMKilled === true) return "out of memory";
  if (State.Error !== undefined && State.Error !== "") return State.Error.slice(0, 200);
  return `exit code ${State.ExitCode ?? "unknown"}`;
}

/** Which user it was started as tells. */
export function profileOf({ Config }: InspectedContainer): Profile {
  return Config.User === "0:0" ? "dev" : "strict";
}

function parseLabels(json: string | undefined): Readonly<Record<string, string>> {
  try {
    return JSON.parse(json ?? "{}") as Record<string, string>;
  } catch {
    return {}; // somebody else's label of that name
  }
}
