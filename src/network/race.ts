/**
 * Happy eyeballs over every way to a node: each way starts at its time, or as soon as all earlier ones
 * have failed; the first that is up wins, and the others are cancelled (RFC 8305, over carriers).
 */

import { type Clock, isAbort, Scope } from "../base/index.ts";
import { Failure, type FailureCode } from "../core/index.ts";
import type { H2Link } from "./h2-link.ts";
import type { PathKind } from "./link.ts";

export interface Way {
  readonly kind: PathKind;
  /** Where it leads, for people: `192.0.2.7:8088`. */
  readonly address: string;
  /** When it starts. The first one there is starts at once: the others are counted from that. */
  readonly delayMs: number;
  open(signal: AbortSignal): Promise<H2Link>;
}

export interface Attempt {
  readonly path: PathKind;
  readonly address: string;
  readonly outcome: "open" | "cancelled" | FailureCode;
  readonly ms: number;
  /** Why not; empty where there is nothing to say. */
  readonly reason: string;
  /** Wall time, in ms. */
  readonly at: number;
}

export interface RaceDeps {
  readonly clock: Clock;
  /** Hears of each way that was started, once, when it has ended. */
  readonly onAttempt: (attempt: Attempt) => void;
}

/** @throws {Failure} wrong-key where a wrong key is all that answered, else unreachable */
export async function race(ways: readonly Way[], deps: RaceDeps, signal: AbortSignal): Promise<H2Link> {
  signal.throwIfAborted();
  return await new Race(ways, deps).run(signal);
}

class Race {
  readonly #deps: RaceDeps;
  readonly #waiting: Way[];
  readonly #failures: Failure[] = [];
  readonly #winner = Promise.withResolvers<H2Link>();
  #running = 0;
  #won = false;
  /** What the others were left for. */
  #taken: PathKind | undefined;

  constructor(ways: readonly Way[], deps: RaceDeps) {
    this.#deps = deps;
    this.#waiting = [...ways].sort((a, b) => a.delayMs - b.delayMs);
  }

  async run(signal: AbortSignal): Promise<H2Link> {
    const scope = new Scope(signal);
    const onAbort = () => this.#winner.reject((signal.reason ?? new Error("aborted")) as Error);
    scope.signal.addEventListener("abort", onAbort, { once: true });
    scope.spawn((ending) => this.#startInTime(scope, ending));
    try {
      return await this.#winner.promise;
    } finally {
      scope.signal.removeEventListener("abort", onAbort);
      await scope.close();
    }
  }

  async #startInTime(scope: Scope, signal: AbortSignal): Promise<void> {
    const { clock } = this.#deps;
    const [first] = this.#waiting;
    const startedAt = clock.now() - (first?.delayMs ?? 0); // who has nothing but IPv4 waits for nobody
    if (this.#waiting.length === 0) this.#startNext(scope); // which says that there is no way
    while (this.#waiting[0] !== undefined && !this.#won) {
      const dueMs = this.#waiting[0].delayMs - (clock.now() - startedAt);
      if (dueMs > 0) await clock.sleep(dueMs, signal);
      else this.#startNext(scope);
    }
  }

  #startNext(scope: Scope): void {
    const way = this.#waiting.shift();
    if (way === undefined) {
      if (this.#running === 0 && !this.#won) this.#winner.reject(verdict(this.#failures));
      return;
    }
    this.#running++;
    scope.spawn(async (signal) => {
      await this.#attempt(way, signal);
      this.#running--;
      if (!this.#won && this.#running === 0 && !signal.aborted) this.#startNext(scope);
    });
  }

  async #attempt(way: Way, signal: AbortSignal): Promise<void> {
    const note = this.#noteOf(way);
    try {
      const link = await way.open(signal);
      if (this.#won || signal.aborted) {
        note("cancelled", this.#whyLeft());
        link.close("another way was quicker");
        return;
      }
      this.#won = true;
      this.#taken = link.path.kind;
      note("open", "", link.path.kind);
      this.#winner.resolve(link);
    } catch (error) {
      if (isAbort(error, signal)) note("cancelled", this.#whyLeft());
      else if (error instanceof Failure) {
        note(error.code, error.message);
        this.#failures.push(error);
      } else throw error;
    }
  }

  #whyLeft(): string {
    return this.#taken === undefined ? "" : `left for the ${this.#taken} path`;
  }

  /** Where a way leads by name or key, only the link knows what kind of path it is. */
  #noteOf({ kind, address }: Way): (outcome: Attempt["outcome"], reason?: string, path?: PathKind) => void {
    const { clock, onAttempt } = this.#deps;
    const startedAt = clock.now();
    return (outcome, reason = "", path = kind) =>
      onAttempt({ path, address, outcome, ms: clock.now() - startedAt, reason, at: clock.wallTime() });
  }
}

function verdict(failures: readonly Failure[]): Failure {
  const wrongKey = failures.find(({ code }) => code === "wrong-key");
  if (wrongKey !== undefined) return wrongKey;
  const reasons = [...new Set(failures.map(({ message }) => message))];
  return new Failure("unreachable", reasons.length === 0 ? "no address of that node is known" : reasons.join("; "), {
    hint: (failures.length === 1 ? failures[0]?.hint : undefined) ?? "`p2prc why NODE` shows each attempt",
    cause: failures[0],
  });
}
