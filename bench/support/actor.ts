/**
 * A process of its own that plays a part in a bench, told what to do over Node's message channel.
 *
 * The part is a file in `bench/actors/` that calls `act` with its functions; the bench holds an
 * Actor and calls them by name.
 */

import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";

/** `never` takes every function; what each wants is checked where it is called. */
type Part = Readonly<Record<string, (argument: never) => unknown>>;

interface Call {
  readonly id: number;
  readonly name: string;
  readonly argument: unknown;
}

interface Reply {
  readonly id: number;
  readonly result?: unknown;
  readonly error?: string;
}

export interface ActorOptions {
  /** The network namespace that it lives in. @default this process's own */
  readonly namespace?: string;
  /** @default what Node takes */
  readonly heapMb?: number;
}

export class Actor<P extends Part> implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>();
  #calls = 0;

  /** @param file the name of a file in bench/actors */
  static async start<P extends Part>(file: string, { namespace, heapMb }: ActorOptions = {}): Promise<Actor<P>> {
    // --expose-gc: memory is read after a collection, or it tells what nobody needs any more.
    const heap = heapMb === undefined ? [] : [`--max-old-space-size=${heapMb}`];
    const node = [process.execPath, "--expose-gc", ...heap];
    const [execPath = "", ...execArgv] = namespace === undefined ? node : ["ip", "netns", "exec", namespace, ...node];
    const child = fork(join(import.meta.dirname, "../actors", file), { execPath, execArgv });
    await once(child, "spawn");
    return new Actor<P>(child);
  }

  private constructor(child: ChildProcess) {
    this.#child = child;
    child.on("message", (reply: Reply) => {
      const waiting = this.#waiting.get(reply.id);
      this.#waiting.delete(reply.id);
      if (reply.error === undefined) waiting?.resolve(reply.result);
      else waiting?.reject(new Error(reply.error));
    });
    child.once("exit", (code, signal) => {
      for (const { reject } of this.#waiting.values()) reject(new Error(`an actor ended with ${code ?? signal}`));
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  call<K extends keyof P & string>(name: K, ...[argument]: Parameters<P[K]>): Promise<Awaited<ReturnType<P[K]>>> {
    const waiting = Promise.withResolvers<unknown>();
    const call: Call = { id: ++this.#calls, name, argument };
    this.#waiting.set(call.id, waiting);
    this.#child.send(call);
    return waiting.promise as Promise<Awaited<ReturnType<P[K]>>>;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.kill("SIGKILL");
    await once(this.#child, "exit");
  }
}

/** Makes this process the actor. It ends with the bench. */
export function act(part: Part): void {
  process.on("message", ({ id, name, argument }: Call) => {
    const reply = (answer: Omit<Reply, "id">) => void process.send?.({ id, ...answer });
    const run = async () => part[name]?.(argument as never);
    run().then(
      (result) => reply({ result }),
      (error: unknown) => reply({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
    );
  });
  process.once("disconnect", () => process.exit());
}
