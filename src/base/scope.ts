/**
 * A Scope owns things that must be closed and tasks that must end.
 *
 * Closing it aborts its signal, waits for its tasks, then closes what it owns
 * in reverse order. Every closer runs even when an earlier one fails, and
 * closing twice is the same as closing once.
 */

type Closer = () => void | PromiseLike<void>;

/** One for all: making one with its stack for each of the thousand scopes of a walk costs as much as their work. */
const CLOSED = new DOMException("the scope has closed", "AbortError");

export class Scope implements AsyncDisposable {
  readonly #controller = new AbortController();
  readonly #closers: Closer[] = [];
  readonly #tasks = new Set<Promise<void>>();
  readonly #failures: unknown[] = [];
  #detach: () => void = () => {};
  #closed: Promise<void> | undefined;

  /** @param parent When it aborts, so does the scope. Closing is still for the owner to do. */
  constructor(parent?: AbortSignal) {
    if (parent === undefined) return;
    const abort = () => this.#controller.abort(parent.reason);
    if (parent.aborted) {
      abort();
      return;
    }
    parent.addEventListener("abort", abort, { once: true });
    this.#detach = () => parent.removeEventListener("abort", abort);
  }

  /** Aborts when the scope closes, when its parent aborts, or when a task fails. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Closes `thing` with the scope, and hands it back. */
  own<T extends AsyncDisposable>(thing: T): T {
    this.defer(() => thing[Symbol.asyncDispose]());
    return thing;
  }

  /** Runs `closer` when the scope closes. */
  defer(closer: Closer): void {
    if (this.#closed !== undefined) throw new Error("scope is closed");
    this.#closers.push(closer);
  }

  /** Runs `task` beside the caller. Its failure aborts the whole scope. */
  spawn(task: (signal: AbortSignal) => Promise<void>): void {
    if (this.#closed !== undefined) throw new Error("scope is closed");
    const running: Promise<void> = task(this.signal)
      .catch((error: unknown) => {
        if (this.signal.aborted && isAbort(error, this.signal)) return;
        this.#failures.push(error);
        this.#controller.abort(error);
      })
      .finally(() => this.#tasks.delete(running));
    this.#tasks.add(running);
  }

  /** Rejects with whatever its tasks and closers failed with. A task must not await it. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    this.#detach();
    this.#controller.abort(CLOSED);
    await Promise.all(this.#tasks);
    for (const closer of this.#closers.reverse()) {
      try {
        await closer();
      } catch (error) {
        this.#failures.push(error);
      }
    }
    if (this.#failures.length === 1) throw this.#failures[0];
    if (this.#failures.length > 1) throw new AggregateError(this.#failures, "several parts failed to close");
  }
}

/** Whether `error` is only the echo of `signal` having aborted. Node's own APIs reject with an AbortError of their own. */
export function isAbort(error: unknown, signal: AbortSignal): boolean {
  if (!signal.aborted) return false;
  return error === signal.reason || (error instanceof Error && error.name === "AbortError");
}
