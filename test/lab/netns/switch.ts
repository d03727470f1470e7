/** What the cables of a network end in: a bridge called `switch` in a namespace, which may be a router's. */

import { Cable } from "./cable.ts";
import { ip, nft } from "./ip.ts";
import { type AddressPlan, NetnsHost, type NetnsHostOptions } from "./netns-host.ts";

export class Switch {
  readonly namespace: string;
  readonly #cables = new Map<NetnsHost, Cable>();

  static async open(namespace: string): Promise<Switch> {
    await ip("-n", namespace, "link", "set", "lo", "up");
    await ip("-n", namespace, "link", "add", "switch", "type", "bridge", "stp_state", "0", "forward_delay", "0");
    await ip("-n", namespace, "link", "set", "switch", "up");
    return new Switch(namespace);
  }

  private constructor(namespace: string) {
    this.namespace = namespace;
  }

  get hosts(): readonly NetnsHost[] {
    return [...this.#cables.keys()];
  }

  /** Makes a host of this namespace, with addresses of the plan. */
  async plug(namespace: string, plan: AddressPlan, options: NetnsHostOptions = {}): Promise<NetnsHost> {
    const { families = [6, 4], ...shape } = options;
    const cable = new Cable({ host: namespace, switch: this.namespace, port: `port${this.#cables.size}` });
    const host = new NetnsHost({ namespace, cable, families, plan });
    this.#cables.set(host, cable);
    if (!families.includes(6))
      await ip("netns", "exec", namespace, "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1");
    await cable.plug();
    await host.readdress();
    if (Object.keys(shape).length > 0) await host.shape(shape);
    return host;
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
      this.namespace,
      `add table bridge lab
delete table bridge lab
add table bridge lab
add chain bridge lab forward { type filter hook forward priority 0; }
${rules.join("\n")}
`,
    );
    // What a host has given up to resolve it refuses for a while, also when the way is open again.
    for (const host of this.hosts) await ip("-n", host.namespace, "neigh", "flush", "all");
  }

  /** Ends what runs on its hosts and in its cables. */
  async stop(): Promise<void> {
    await Promise.all(this.hosts.map((host) => host.stop()));
  }

  #names(hosts: readonly NetnsHost[]): string {
    return hosts.flatMap((host) => this.#cables.get(host)?.ports ?? []).join(", ");
  }
}
