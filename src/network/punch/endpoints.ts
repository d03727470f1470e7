/**
 * This node's ends of the DHT: one behind a NAT; where it can be reached by UDP, one per port from its first on.
 *
 * A hole is punched with the help of at least three DHT nodes that tell how a NAT maps, and a node counts by its address
 * and port. So each reachable node runs four ends while the network is small.
 */

import { type Clock, type Log, Scope } from "../../base/index.ts";
import { type Address, bindDht, type Dht, type DhtOptions, type Engine, refreshNow } from "./engine.ts";

export interface EndpointsDeps {
  readonly engine: Engine;
  readonly clock: Clock;
  readonly log: Log;
}

/** By then every node that is there has answered; the library waits 12 s for those that are not. */
const FIRST_ANSWERS_MS = 1_500;

export class Endpoints implements AsyncDisposable {
  readonly #deps: EndpointsDeps;
  readonly #options: DhtOptions;
  readonly #scope = new Scope();
  readonly #all: Dht[] = [];
  #bootstrap: readonly Address[];

  /** @throws what keeps the first port from being bound */
  static async open(deps: EndpointsDeps, options: DhtOptions): Promise<Endpoints> {
    const endpoints = new Endpoints(deps, options);
    try {
      await endpoints.#add();
      return endpoints;
    } catch (error) {
      await endpoints[Symbol.asyncDispose]();
      throw error;
    }
  }

  private constructor(deps: EndpointsDeps, options: DhtOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#bootstrap = options.bootstrap;
  }

  /** The one that dials and is dialled. */
  get first(): Dht {
    const [first] = this.#all;
    if (first === undefined) throw new Error("there is none left");
    return first;
  }

  get count(): number {
    return this.#all.length;
  }

  /** DHT nodes that answered lately, of all ends. */
  get nodes(): readonly Address[] {
    const own = new Set(this.#siblings().map(({ port }) => port));
    const all = this.#all.flatMap((dht) => dht.toArray({ limit: 64 }));
    const others = all.filter(({ host, port }) => host !== this.#options.publicHost || !own.has(port));
    return [...new Map(others.map((node) => [`${node.host}:${node.port}`, node])).values()];
  }

  /** From now on these are asked while few nodes are known. */
  feed(bootstrap: readonly Address[]): void {
    this.#bootstrap = bootstrap;
    for (const dht of this.#all) {
      dht.bootstrapNodes = [...bootstrap, ...this.#siblings()];
      refreshNow(dht);
    }
  }

  /** As many ends as ports can be had for. Behind a NAT there is always one. */
  async resize(wanted: number): Promise<void> {
    if (this.#options.publicHost === undefined) return;
    while (this.#all.length > wanted && this.#all.length > 1) await this.#all.pop()?.destroy();
    while (this.#all.length < wanted) {
      try {
        await this.#add();
      } catch (error) {
        this.#deps.log.info("a port for the DHT cannot be had", { port: this.#nextPort, why: reasonOf(error) });
        return;
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#scope.close();
    await Promise.all(this.#all.splice(0).map((dht) => dht.destroy({ force: true })));
  }

  get #nextPort(): number {
    return this.#options.port + this.#all.length;
  }

  async #add(): Promise<void> {
    const { engine, clock } = this.#deps;
    const bootstrap = [...this.#bootstrap, ...this.#siblings()];
    const dht = engine.openDht({ ...this.#options, bootstrap, port: this.#nextPort });
    await bindDht(dht);
    this.#all.push(dht);
    await using wait = new Scope(this.#scope.signal);
    await Promise.race([dht.fullyBootstrapped(), clock.sleep(FIRST_ANSWERS_MS, wait.signal)]);
  }

  /** Four ends that do not know each other would be four networks. */
  #siblings(): readonly Address[] {
    const { publicHost: host, port } = this.#options;
    return host === undefined ? [] : this.#all.map((_dht, index) => ({ host, port: port + index }));
  }
}

export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
