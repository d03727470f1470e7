/** How far a playbook is on each of its sandboxes. From here it is drawn, and from here it can be gone on with. */

import type { PlaybookEvent } from "./events.ts";

export type CellState = "running" | "ok" | "changed" | "skipped" | "ignored" | "failed" | "unreachable";

export interface Cell {
  readonly task: number;
  readonly state: CellState;
}

export interface HostProgress {
  readonly host: string;
  /** In the order of the tasks. */
  readonly cells: readonly Cell[];
  /** How it failed, in the words of the task, and its exit code. */
  readonly failure?: { readonly task: number; readonly words: string; readonly code: number | undefined };
  /** Whether the playbook came to its end here. Undefined while it runs. */
  readonly done?: boolean;
}

/** More tasks are not kept apart: nobody sees them on a screen. */
const MAX_TASKS = 10_000;

export class Progress {
  readonly #names = new Map<number, string>();
  readonly #hosts: Map<string, HostProgress>;

  constructor(hosts: readonly string[]) {
    this.#hosts = new Map(hosts.map((host) => [host, { host, cells: [] }]));
  }

  get hosts(): readonly HostProgress[] {
    return [...this.#hosts.values()];
  }

  /** What Ansible calls it. */
  nameOf(task: number): string {
    return this.#names.get(task) ?? "";
  }

  take(event: PlaybookEvent): void {
    if (event.kind === "task") {
      if (this.#names.size < MAX_TASKS) this.#names.set(event.task, event.name);
      return;
    }
    const before = this.#hosts.get(event.host);
    if (before === undefined || event.kind === "diff") return;
    this.#hosts.set(event.host, after(before, event));
  }

  /** Where to go on: the first task that one of the unfinished hosts has not done. Undefined: from the beginning. */
  unfinished(): { readonly hosts: readonly string[]; readonly startAt: string | undefined } {
    const hosts = this.hosts.filter(({ done }) => done !== true);
    const open = hosts.map(({ failure, cells }) => failure?.task ?? openTask(cells));
    const first = open.includes(undefined) || open.length === 0 ? undefined : Math.min(...open.map(Number));
    const startAt = first === undefined ? undefined : this.#names.get(first);
    return { hosts: hosts.map(({ host }) => host), startAt };
  }
}

type HostEvent = Exclude<PlaybookEvent, { kind: "task" | "diff" }>;

function after(before: HostProgress, event: HostEvent): HostProgress {
  if (event.kind === "host") return { ...before, done: event.done };
  const state: CellState =
    event.kind === "started" ? "running" : event.kind === "ok" && event.changed ? "changed" : event.kind;
  const cells = [...before.cells.filter(({ task }) => task !== event.task), { task: event.task, state }];
  if (event.kind !== "failed" && event.kind !== "unreachable") return { ...before, cells };
  return { ...before, cells, failure: { task: event.task, words: event.words, code: event.code ?? undefined } };
}

/** The one that runs, or the last that it is known to have done: doing it again does no harm. */
function openTask(cells: readonly Cell[]): number | undefined {
  return (cells.find(({ state }) => state === "running") ?? cells.at(-1))?.task;
}
