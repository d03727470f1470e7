/**
 * The cable between a host and the switch: as good as this machine, until it is shaped.
 *
 * `tc netem` shapes it where the kernel has that. Where it has not, the first shape cuts the cable
 * and puts a program in between (wire.py), which needs more of the processor and does the same.
 */

import { ip, tc } from "./ip.ts";
import { NetnsProcess } from "./netns-process.ts";
import { hasNetem } from "./why-no-lab.ts";

export interface Shape {
  /** Added each way: the round trip between two hosts is twice the sum of their delays. */
  readonly delayMs?: number;
  readonly jitterMs?: number;
  /** Of packets, each way, 0 to 100. */
  readonly lossPercent?: number;
  /** Each way. */
  readonly rateMbit?: number;
}

export interface CableDeps {
  readonly host: string;
  readonly switch: string;
  /** The host's port of the switch. */
  readonly port: string;
}

const READY_MS = 10_000;

export class Cable {
  readonly #deps: CableDeps;
  #wire: NetnsProcess | undefined;
  #shapes = 0;

  constructor(deps: CableDeps) {
    this.#deps = deps;
  }

  /** The names that the switch may know this cable by. */
  get ports(): readonly string[] {
    return [this.#deps.port, `${this.#deps.port}w`];
  }

  async plug(): Promise<void> {
    const { host, port } = this.#deps;
    await ip("link", "add", "eth0", "netns", host, "type", "veth", "peer", "name", port, "netns", this.#deps.switch);
    await this.#atSwitch("set", port, "master", "switch", "up");
    await ip("-n", host, "link", "set", "lo", "up");
    await ip("-n", host, "link", "set", "eth0", "up");
  }

  async set(state: "up" | "down"): Promise<void> {
    await this.#atSwitch("set", this.#deps.port, state);
  }

  /** From now on; `{}` makes it as good as new. */
  async shape(shape: Shape): Promise<void> {
    await (hasNetem() ? this.#shapeByKernel(shape) : this.#shapeByWire(shape));
  }

  async close(): Promise<void> {
    await this.#wire?.[Symbol.asyncDispose]();
  }

  async #shapeByKernel({ delayMs = 0, jitterMs = 0, lossPercent = 0, rateMbit }: Shape): Promise<void> {
    // netem holds 1000 packets unless told otherwise, which a fast link with delay overflows.
    const words = ["limit", "100000", "delay", `${delayMs}ms`, `${jitterMs}ms`, "loss", `${lossPercent}%`];
    if (rateMbit !== undefined) words.push("rate", `${rateMbit}mbit`);
    await tc(this.#deps.host, "qdisc", "replace", "dev", "eth0", "root", "netem", ...words);
    await tc(this.#deps.switch, "qdisc", "replace", "dev", this.#deps.port, "root", "netem", ...words);
  }

  async #shapeByWire({ delayMs = 0, jitterMs = 0, lossPercent = 0, rateMbit = 0 }: Shape): Promise<void> {
    this.#wire ??= await this.#cut();
    this.#wire.write(`${delayMs} ${jitterMs} ${lossPercent} ${rateMbit}\n`);
    const heard = new RegExp(`^(?:shaped\\n){${++this.#shapes}}`, "m");
    await this.#wire.says(heard, AbortSignal.timeout(READY_MS));
  }

  async #cut(): Promise<NetnsProcess> {
    const { port } = this.#deps;
    const [, far] = this.ports as [string, string];
    await this.#atSwitch("set", port, "nomaster");
    await this.#atSwitch("add", `${port}x`, "type", "veth", "peer", "name", far);
    await this.#atSwitch("set", `${port}x`, "up");
    await this.#atSwitch("set", far, "master", "switch", "up");
    const script = `${import.meta.dirname}/wire.py`;
    const wire = new NetnsProcess(this.#deps.switch, ["python3", script, port, `${port}x`]);
    await wire.says(/^ready$/m, AbortSignal.timeout(READY_MS));
    return wire;
  }

  async #atSwitch(verb: "add" | "set", ...words: readonly string[]): Promise<void> {
    await ip("-n", this.#deps.switch, "link", verb, ...words);
  }
}
