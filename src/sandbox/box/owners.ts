/** How the nodes that hold my sandboxes are asked: over a link, for at most so long, and what their silence means. */

import { type Clock, within } from "../../base/index.ts";
import { Failure, type FailureCode, type NodeId } from "../../core/index.ts";
import { type Dialable, type Link, type Reach, wasTold } from "../../network/index.ts";

export interface OwnersDeps {
  readonly reach: Reach;
  /** Where to dial a node, if it is still in the table. */
  readonly dialable: (id: NodeId) => Dialable | undefined;
  readonly nameOf: (id: NodeId) => string;
  readonly clock: Clock;
}

/** They say nothing about the sandbox: it may be there, it may not. */
const SILENT: readonly FailureCode[] = ["link-lost", "timed-out", "unreachable", "wrong-key", "bad-reply", "too-large"];

/** Whether the node may not have answered at all. */
export function isSilence(error: unknown): boolean {
  return error instanceof Failure && SILENT.includes(error.code) && !wasTold(error);
}

/** Whether the node says that nothing of mine is there. Who is no guest there any more holds nothing there either. */
export function isGone(error: unknown): boolean {
  return error instanceof Failure && (error.code === "not-found" || error.code === "not-allowed");
}

export class Owners {
  readonly #deps: OwnersDeps;

  constructor(deps: OwnersDeps) {
    this.#deps = deps;
  }

  nameOf(id: NodeId): string {
    return this.#deps.nameOf(id);
  }

  /** @throws {Failure} unreachable, timed-out, and what `work` throws */
  async ask<T>(
    { id, timeoutMs }: { readonly id: NodeId; readonly timeoutMs: number },
    work: (link: Link, signal: AbortSignal) => Promise<T>,
    signal: AbortSignal,
  ): Promise<T> {
    const { clock } = this.#deps;
    const late = () =>
      new Failure("timed-out", `${this.nameOf(id)} has not answered within ${timeoutMs / 1000} s`, {
        hint: `\`p2prc why ${this.nameOf(id)}\` tells what was tried`,
      });
    return await within(
      { clock, timeoutMs, late },
      async (attempt) => await work(await this.link(id, attempt), attempt),
      signal,
    );
  }

  /** @throws {Failure} unreachable, in words that name the node */
  async link(id: NodeId, signal: AbortSignal): Promise<Link> {
    const { reach, dialable } = this.#deps;
    try {
      return await reach.link(dialable(id) ?? { id, endpoints: [], via: [] }, signal);
    } catch (error) {
      if (!(error instanceof Failure) || error.code !== "unreachable") throw error;
      const name = this.nameOf(id);
      const named = error.message.includes(name);
      throw new Failure("unreachable", named ? error.message : `${name} cannot be reached: ${error.message}`, {
        hint: error.hint?.replace("why NODE", `why ${name}`) ?? `\`p2prc why ${name}\` tells what was tried`,
        cause: error,
      });
    }
  }
}
