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
  readonly #tasks = new Map<number, { readonly name: string; readonly start: string }>();
  readonly #hosts: Map<string, HostProgress>;

  constructor(hosts: readonly string[]) {
    this.#hosts = new Map(hosts.map((host) => [host, { host, cells: [] }]));
  }

  get hosts(): readonly HostProgress[] {
    return [...this.#hosts.values()];
  }

  /** What Ansible calls it. */
  nameOf(task: number): string {
    return this.#tasks.get(task)?.name ?? "";
  }

  take(event: PlaybookEvent): void {
    if (event.kind === "task") {
      if (this.#tasks.size < MAX_TASKS) this.#tasks.set(event.task, { name: event.name, start: event.start });
      return;
    }
    const before = this.#hosts.get(event.host);
    if (before === undefined || event.kind === "diff") return;
    this.#hosts.set(event.host, after(before, event));
  }

  /** The hosts that have not come to the end, each with the task to begin at. Undefined: the first. */
  unfinished(): ReadonlyMap<string, string | undefined> {
    const hosts = this.hosts.filter(({ done }) => done !== true);
    return new Map(
      hosts.map(({ host, failure, cells }) => {
        const task = failure?.task ?? openTask(cells);
        const { start = "" } = (task === undefined ? undefined : this.#tasks.get(task)) ?? {};
        return [host, start === "" ? undefined : start];
      }),
    );
  }

  /** The tasks that can be begun at, in their order. */
  starts(): readonly string[] {
    return [...new Set([...this.#tasks.values()].map(({ start }) => start))].filter((start) => start !== "");
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
