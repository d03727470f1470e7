/** What was tried to reach each node, for `p2prc why`: the last few attempts of the nodes tried last. */

import type { NodeId } from "../core/index.ts";
import type { Path, PathKind } from "./link.ts";
import type { Attempt } from "./race.ts";

const MAX_NODES = 1024;
const MAX_PER_NODE = 16;

export class Attempts {
  readonly #byNode = new Map<NodeId, Attempt[]>();

  note(node: NodeId, attempt: Attempt): void {
    const attempts = this.#byNode.get(node) ?? [];
    this.#byNode.delete(node); // to the young end
    this.#byNode.set(node, [...attempts, attempt].slice(-MAX_PER_NODE));
    if (this.#byNode.size > MAX_NODES) this.#byNode.delete(this.#byNode.keys().next().value as NodeId);
  }

  /** Says of the attempt that led to `path` that a better one was found. */
  leave(node: NodeId, { kind }: Path, better: PathKind): void {
    const attempts = this.#byNode.get(node) ?? [];
    const last = attempts.findLastIndex(({ path, outcome }) => path === kind && outcome === "open");
    const left = attempts[last];
    if (left === undefined) return;
    const reason = `left for the ${better} path`;
    this.#byNode.set(node, attempts.with(last, { ...left, reason }));
  }

  /** Oldest first. */
  of(node: NodeId): readonly Attempt[] {
    return this.#byNode.get(node) ?? [];
  }
}
