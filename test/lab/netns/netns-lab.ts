/**
 * Machines on one switch, as network namespaces: `await using lab = await NetnsLab.open(…)`.
 *
 * Nothing of it touches the machine's own network: every interface is made inside a namespace, and
 * no route leads out. What a killed test leaves is taken away by the next one (sweep.ts).
 */

import { ip } from "./ip.ts";
import { Namespaces } from "./namespaces.ts";
import type { NetnsHost, NetnsHostOptions } from "./netns-host.ts";
import { Switch } from "./switch.ts";

export interface Topology<Name extends string> {
  readonly hosts: Readonly<Record<Name, NetnsHostOptions>>;
  /** The first two numbers of every IPv4 address. @default "10.77" */
  readonly prefix4?: string;
  /** The first half of every IPv6 address. @default "fd77::" */
  readonly prefix6?: string;
}

export class NetnsLab<Name extends string> implements AsyncDisposable {
  readonly #namespaces: Namespaces;
  readonly #switch: Switch;
  readonly hosts: Readonly<Record<Name, NetnsHost>>;

  /** @throws what `ip` says when it cannot be built; nothing of it is left then */
  static async open<Name extends string>(topology: Topology<Name>, signal: AbortSignal): Promise<NetnsLab<Name>> {
    signal.throwIfAborted();
    const namespaces = await Namespaces.open();
    try {
      return await NetnsLab.#build(topology, namespaces, signal);
    } catch (error) {
      await namespaces[Symbol.asyncDispose]();
      throw error;
    }
  }

  static async #build<Name extends string>(
    { hosts, prefix4 = "10.77", prefix6 = "fd77::" }: Topology<Name>,
    namespaces: Namespaces,
    signal: AbortSignal,
  ): Promise<NetnsLab<Name>> {
    const bridge = await Switch.open(await namespaces.add("switch"));
    let last = 0;
    const fresh = () => {
      const n = ++last;
      return { ip4: `${prefix4}.${n >> 8}.${n & 255}/16`, ip6: `${prefix6}${n.toString(16)}/64` };
    };
    const plugged: Partial<Record<Name, NetnsHost>> = {};
    for (const [name, options] of Object.entries<NetnsHostOptions>(hosts)) {
      signal.throwIfAborted();
      plugged[name as Name] = await bridge.plug(await namespaces.add(name), { fresh }, options);
    }
    return new NetnsLab(namespaces, bridge, plugged as Record<Name, NetnsHost>);
  }

  private constructor(namespaces: Namespaces, bridge: Switch, hosts: Readonly<Record<Name, NetnsHost>>) {
    this.#namespaces = namespaces;
    this.#switch = bridge;
    this.hosts = hosts;
  }

  /** Silence between these groups and inside none of them, until the next call; `[]` heals. */
  async partition(...groups: readonly (readonly NetnsHost[])[]): Promise<void> {
    await this.#switch.partition(...groups);
  }

  /** All other hosts send what is for `network` to this one, which `own`s it. */
  async routeTo(network: string, host: NetnsHost): Promise<void> {
    const via = network.includes(":") ? host.ip6 : host.ip4;
    for (const other of this.#switch.hosts) {
      if (other !== host) await ip("-n", other.namespace, "route", "add", network, "via", via);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#switch.stop();
    await this.#namespaces[Symbol.asyncDispose]();
  }
}
