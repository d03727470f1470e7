/**
 * A router of a lab: its own namespace, whose eth0 is a host of the network outside and whose switch is the one inside.
 */

import { ip, nft } from "./ip.ts";
import { hasIpv6, hasUpnp, type Policy, policyOf, policyRules, routerRules, upnpConfig } from "./nat-rules.ts";
import type { RouterKind } from "./nat-topology.ts";
import type { AddressPlan, NetnsHost } from "./netns-host.ts";
import type { NetnsProcess } from "./netns-process.ts";
import { Switch } from "./switch.ts";

export interface RouterDeps {
  /** Its end outside: that has the addresses that the world sees, can be unplugged and readdressed. */
  readonly outside: NetnsHost;
  /** The router that this one is behind. */
  readonly upstream: Router | undefined;
}

export interface RouterOptions {
  readonly kind: RouterKind;
  /** The first three numbers of the addresses inside. */
  readonly net: string;
}

const READY_MS = 10_000;

/** Netlink: IPCTNL_MSG_CT_DELETE without a filter, so all of them. */
const FORGET = `import socket, struct
s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)
s.send(struct.pack("=IHHIIBBH", 20, (1 << 8) | 2, 5, 1, 0, 0, 0, 0))
assert s.recv(4096)[16:20] == bytes(4)`;

export class Router {
  readonly outside: NetnsHost;
  readonly upstream: Router | undefined;
  readonly switch: Switch;
  readonly #options: RouterOptions;
  #policy: Policy;
  #upnp: NetnsProcess | undefined;
  #claimed: string | undefined;
  #hosts = 1;

  static async open(deps: RouterDeps, options: RouterOptions): Promise<Router> {
    const { namespace } = deps.outside;
    const router = new Router(deps, options, await Switch.open(namespace));
    await ip("-n", namespace, "address", "add", `${options.net}.1/24`, "dev", "switch");
    await router.#sysctl("net.ipv4.ip_forward=1");
    if (hasIpv6(options.kind)) {
      await router.#sysctl("net.ipv6.conf.all.forwarding=1", "net.ipv6.conf.eth0.proxy_ndp=1");
      await router.#sysctl("net.ipv6.neigh.eth0.proxy_delay=0");
      await ip("-n", namespace, "address", "add", `${router.#prefix6}1/64`, "dev", "switch", "nodad");
    }
    await router.#load();
    return router;
  }

  private constructor({ outside, upstream }: RouterDeps, options: RouterOptions, inside: Switch) {
    this.outside = outside;
    this.upstream = upstream;
    this.switch = inside;
    this.#options = options;
    this.#policy = policyOf(options.kind);
  }

  /** What hosts inside are given. */
  get plan(): AddressPlan {
    const { kind, net } = this.#options;
    const own = (n: number) => `${net}.${n}`;
    if (!hasIpv6(kind)) return { fresh: () => ({ ip4: `${own(++this.#hosts)}/24` }), gateway: { ip4: own(1) } };
    const prefix6 = this.#prefix6;
    return {
      fresh: () => {
        const n = ++this.#hosts;
        return { ip4: `${own(n)}/24`, ip6: `${prefix6}${n.toString(16)}/64` };
      },
      gateway: { ip4: own(1), ip6: `${prefix6}1` },
    };
  }

  /** What the world sees, if no other router is in between. */
  get ip4(): string {
    return this.outside.ip4;
  }

  /** Forgets all mappings and connections, as one does that was switched off and on. */
  async reboot(): Promise<void> {
    await this.#upnp?.[Symbol.asyncDispose]();
    await this.#load();
    await this.forget();
  }

  /** Tells whoever asks for its address another one, and begins anew. */
  async claim(ip4: string): Promise<void> {
    this.#claimed = ip4;
    await this.reboot();
  }

  /** Forgets mappings and connections, but not what was opened by UPnP. */
  async forget(): Promise<void> {
    await this.outside.run(["python3", "-c", FORGET], AbortSignal.timeout(READY_MS));
  }

  /** Gets another address outside, as after a night. Connections from the old one are gone. */
  async readdress(): Promise<void> {
    await this.outside.readdress();
    await this.forget();
  }

  /** What passes from now on; `{}` is everything. */
  async setPolicy(policy: Policy): Promise<void> {
    this.#policy = policy;
    await nft(this.outside.namespace, policyRules(policy));
  }

  /** Whoever sends to this address inside finds it behind this router: there is no NAT for IPv6. */
  async announce(host: NetnsHost): Promise<void> {
    if (hasIpv6(this.#options.kind))
      await ip("-n", this.outside.namespace, "neigh", "add", "proxy", host.ip6, "dev", "eth0");
  }

  async #load(): Promise<void> {
    await nft(this.outside.namespace, routerRules(this.#options.kind) + policyRules(this.#policy));
    if (!hasUpnp(this.#options.kind)) return;
    const config = upnpConfig(this.#options.kind, this.#claimed);
    // Read from a pipe, and no file for its pid: nothing is left of it when it is killed.
    const start = `exec miniupnpd -d -P /dev/null/none -f /dev/fd/3 3<<'END'\n${config}END\n`;
    this.#upnp = this.outside.spawn(["sh", "-c", start]);
    await this.#upnp.says(/Listening for NAT-PMP\/PCP traffic/, AbortSignal.timeout(READY_MS));
  }

  /** The second /64 of the network that its own address is in. */
  get #prefix6(): string {
    return this.outside.ip6.replace(/::.*$/, ":1::");
  }

  async #sysctl(...settings: readonly string[]): Promise<void> {
    await ip("netns", "exec", this.outside.namespace, "sysctl", "-qw", ...settings);
  }
}
