/**
 * The namespaces of one lab. They go with it, with its process when that is asked to end, and with the next lab's
 * sweep when that was killed (sweep.ts).
 */

import { ip } from "./ip.ts";
import { nameOf, removeNamespace, removeNamespacesNow, sweepLabs } from "./sweep.ts";

/** Those that this process has: a signal that ends it takes them down. */
const open = new Set<Namespaces>();
let count = 0;

export class Namespaces implements AsyncDisposable {
  readonly #lab = ++count;
  readonly #names: string[] = [];

  /** None yet. What killed processes left is gone then. */
  static async open(): Promise<Namespaces> {
    await sweepLabs();
    const namespaces = new Namespaces();
    if (open.size === 0) for (const name of fatal) process.once(name, onFatal);
    open.add(namespaces);
    return namespaces;
  }

  private constructor() {}

  /** @returns the name that the kernel knows it by */
  async add(host: string): Promise<string> {
    const name = nameOf(this.#lab, host);
    this.#names.push(name);
    await ip("netns", "add", name);
    return name;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#names.splice(0).map((name) => removeNamespace(name)));
    open.delete(this);
    if (open.size === 0) for (const name of fatal) process.off(name, onFatal);
  }

  /** For a process that ends in this very turn. */
  closeNow(): void {
    removeNamespacesNow(this.#names.splice(0));
  }
}

const fatal = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

function onFatal(name: NodeJS.Signals): void {
  for (const namespaces of open) namespaces.closeNow();
  process.kill(process.pid, name); // the handler is gone by now, so this ends the process as it should
}
