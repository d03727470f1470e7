/** What was tried to reach each node, for `p2prc why`: the last few attempts of the nodes tried last. */

import type { NodeId } from "../core/index.ts";
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

  /** Oldest first. */
  of(node: NodeId): readonly Attempt[] {
    return this.#byNode.get(node) ?? [];
  }
}
