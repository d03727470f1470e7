/** Private URLs, opened when the first port of a sandbox is: most daemons never load what serves them (15 MB). */

import type { WebDoorDeps, WebDoor } from "./web-door.ts";
import type { Visited } from "./visit.ts";

export class PrivateUrls implements AsyncDisposable {
  readonly #deps: WebDoorDeps;
  #opening: Promise<WebDoor> | undefined;
  #door: WebDoor | undefined;

  constructor(deps: WebDoorDeps) {
    this.#deps = deps;
  }

  /** Resolves when they are served. Twice is once. @throws {Failure} port-in-use */
  async open(signal: AbortSignal): Promise<void> {
    this.#opening ??= this.#open(signal);
    try {
      this.#door = await this.#opening;
    } catch (error) {
      this.#opening = undefined; // the next one may have more luck
      throw error;
    }
  }

  /** Undefined while they are not served. */
  urlOf(visited: Visited): string | undefined {
    return this.#door?.urlOf(visited);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#door?.[Symbol.asyncDispose]();
  }

  async #open(signal: AbortSignal): Promise<WebDoor> {
    const { WebDoor: Loaded } = await import("./web-door.ts");
    return await Loaded.open(this.#deps, {}, signal);
  }
}
