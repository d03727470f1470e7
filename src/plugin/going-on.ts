/**
 * Where a run is gone on with. Ansible begins at one task on all of its hosts, so it is the first that one of them needs;
 * which of two is the first, the order tells in which they were begun.
 */

import type { StoredPlugin } from "./contract.ts";
import type { Target } from "./needs.ts";
import type { Progress } from "./progress.ts";
import type { Run } from "./run-book.ts";

/** What is left of a run to do, of all that a run is kept with. */
export type Left = Pick<Run, "targets" | "unfinished" | "startAt" | "order">;

interface Going<T> {
  readonly plugin: Pick<StoredPlugin, "digest">;
  readonly targets: readonly T[];
}

/** The sandboxes that it had not finished, and the task to begin at. A plugin that has changed begins anew there. */
export function goOn<T extends Pick<Target, "id">>(
  before: Run | undefined,
  { plugin, targets }: Going<T>,
): { readonly targets: readonly T[]; readonly startAt: string | undefined } {
  if (before === undefined) return { targets, startAt: undefined };
  const left = targets.filter(({ id }) => before.unfinished.includes(id));
  const { startAt, order } = samePlugin(before, plugin);
  const ranks = left.map(({ id }) => order.indexOf(startAt[id] ?? ""));
  return { targets: left, startAt: order[Math.min(...ranks)] };
}

interface Worked extends Going<Pick<Target, "id" | "name">> {
  readonly before?: Run | undefined;
  /** The task that it has begun at. */
  readonly startAt?: string | undefined;
}

/** What is left after a run, with what was left of the one before it and was not worked on now. */
export function leftAfter({ plugin, targets, before, startAt: begun }: Worked, progress: Progress): Left {
  const working = targets.map(({ id }) => id);
  const known = samePlugin(before, plugin);
  const elsewhere = (before?.unfinished ?? []).filter((id) => !working.includes(id));
  const head = begun === undefined ? [] : known.order.slice(0, known.order.indexOf(begun) + 1);
  const order = [...new Set([...head, ...progress.starts(), ...known.order])];
  const unfinished = progress.unfinished();
  const left = targets.filter(({ name }) => unfinished.has(name));
  const starts = [
    ...elsewhere.map((id) => [id, known.startAt[id]] as const),
    // What was passed over is not gone back to: facts are gathered before any task.
    ...left.map(({ id, name }) => [id, later([unfinished.get(name), begun], order)] as const),
  ];
  return {
    targets: [...new Set([...(before?.targets ?? []), ...working])],
    unfinished: starts.map(([id]) => id),
    startAt: Object.fromEntries(starts.flatMap(([id, start]) => (start === undefined ? [] : [[id, start]]))),
    order,
  };
}

/** Tasks of a plugin that has changed are no places to go on from. */
function samePlugin(before: Run | undefined, { digest }: Pick<StoredPlugin, "digest">): Pick<Run, "startAt" | "order"> {
  return before?.digest === digest ? before : { startAt: {}, order: [] };
}

function later(starts: readonly (string | undefined)[], order: readonly string[]): string | undefined {
  return order[Math.max(...starts.map((start) => order.indexOf(start ?? "")))];
}
