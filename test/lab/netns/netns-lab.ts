/**
 * Machines on one switch, as network namespaces: `await using lab = await NetnsLab.open(…)`.
 *
 * Nothing of it touches the machine's own network: every interface is made inside a namespace, and
 * no route leads out. What a killed test leaves is taken away by the next one (sweep.ts).
 */

import { Cable } from "./cable.ts";
import { ip, nft } from "./ip.ts";
import { NetnsHost, type NetnsHostOptions } from "./netns-host.ts";
import { nameOf, removeNamespace, removeNamespacesNow, sweepLabs } from "./sweep.ts";

export interface Topology<Name extends string> {
  readonly hosts: Readonly<Record<Name, NetnsHostOptions>>;
  /** The first two numbers of every IPv4 address. @default "10.77" */
  readonly prefix4?: string;
  /** The first half of every IPv6 address. @default "fd77::" */
  readonly prefix6?: string;
}

const BOTH = [6, 4] as const;

/** Labs that this process has open: a signal that ends it takes them down. */
const open = new Set<NetnsLab<string>>();
let count = 0;

export class NetnsLab<Name extends string> implements AsyncDisposable {
  readonly #switch: string;
  readonly #namespaces: string[] = [];
  readonly #cables = new Map<NetnsHost, Cable>();
  readonly hosts: Readonly<Record<Name, NetnsHost>>;

  /** @throws what `ip` says when it cannot be built; nothing of it is left then */
  static async open<Name extends string>(topology: Topology<Name>, signal: AbortSignal): Promise<NetnsLab<Name>> {
    signal.throwIfAborted();
    await sweepLabs();
    const lab = new NetnsLab<Name>(topology);
    try {
      await lab.#build(topology, signal);
      return lab;
    } catch (error) {
      await lab[Symbol.asyncDispose]();
      throw error;
    }
  }

  private constructor({ hosts, prefix4 = "10.77", prefix6 = "fd77::" }: Topology<Name>) {
    const id = ++count;
    this.#switch = nameOf(id, "switch");
    let last = 0;
    const freshAddresses = () => {
      const n = ++last;
      return { ip4: `${prefix4}.${n >> 8}.${n & 255}/16`, ip6: `${prefix6}${n.toString(16)}/64` };
    };
    const made = Object.entries<NetnsHostOptions>(hosts).map(([name, { families = BOTH }], i) => {
      const namespace = nameOf(id, name);
      const cable = new Cable({ host: namespace, switch: this.#switch, port: `port${i}` });
      const host = new NetnsHost({ namespace, cable, families, freshAddresses });
      this.#cables.set(host, cable);
      return [name, host] as const;
    });
    this.hosts = Object.fromEntries(made) as Record<Name, NetnsHost>;
    if (open.size === 0) for (const name of fatal) process.once(name, onFatal);
    open.add(this);
  }

  /** Silence between these groups and inside none of them, until the next call; `[]` heals. */
  async partition(...groups: readonly (readonly NetnsHost[])[]): Promise<void> {
    const rules = groups.flatMap((here, i) =>
      groups
        .filter((_, j) => j !== i)
        .map(
          (there) =>
            `add rule bridge lab forward iifname { ${this.#names(here)} } oifname { ${this.#names(there)} } drop`,
        ),
    );
    await nft(
      this.#switch,
      `add table bridge lab
delete table bridge lab
add table bridge lab
add chain bridge lab forward { type filter hook forward priority 0; }
${rules.join("\n")}
`,
    );
    // What a host has given up to resolve it refuses for a while, also when the way is open again.
    for (const host of this.#cables.keys()) await ip("-n", host.namespace, "neigh", "flush", "all");
  }

  /** All other hosts send what is for `network` to this one, which `own`s it. */
  async routeTo(network: string, host: NetnsHost): Promise<void> {
    const via = network.includes(":") ? host.ip6 : host.ip4;
    for (const other of this.#cables.keys()) {
      if (other !== host) await ip("-n", other.namespace, "route", "add", network, "via", via);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(Array.from(this.#cables.keys(), (host) => host.stop()));
    for (const name of this.#namespaces.splice(0)) await removeNamespace(name);
    open.delete(this);
    if (open.size === 0) for (const name of fatal) process.off(name, onFatal);
  }

  /** For a process that ends in this very turn. */
  closeNow(): void {
    removeNamespacesNow(this.#namespaces.splice(0));
  }

  async #build({ hosts }: Topology<Name>, signal: AbortSignal): Promise<void> {
    await this.#addNamespace(this.#switch);
    await ip("-n", this.#switch, "link", "add", "switch", "type", "bridge", "stp_state", "0", "forward_delay", "0");
    await ip("-n", this.#switch, "link", "set", "switch", "up");
    for (const [name, options] of Object.entries<NetnsHostOptions>(hosts)) {
      signal.throwIfAborted();
      await this.#plug(this.hosts[name as Name], options);
    }
  }

  async #plug(host: NetnsHost, { families = BOTH, ...shape }: NetnsHostOptions): Promise<void> {
    const { namespace } = host;
    await this.#addNamespace(namespace);
    if (!families.includes(6))
      await ip("netns", "exec", namespace, "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1");
    await this.#cables.get(host)?.plug();
    await host.readdress();
    if (Object.keys(shape).length > 0) await host.shape(shape);
  }

  async #addNamespace(name: string): Promise<void> {
    this.#namespaces.push(name);
    await ip("netns", "add", name);
  }

  #names(hosts: readonly NetnsHost[]): string {
    return hosts.flatMap((host) => this.#cables.get(host)?.ports ?? []).join(", ");
  }
}

const fatal = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

function onFatal(name: NodeJS.Signals): void {
  for (const lab of open) lab.closeNow();
  process.kill(process.pid, name); // the handler is gone by now, so this ends the process as it should
}
