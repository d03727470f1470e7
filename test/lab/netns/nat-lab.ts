/**
 * The internet on this machine: `await NatLab.open("relay:public  attic:nat  (desk laptop):symmetric", {}, signal)`.
 *
 * Public hosts and routers hang on one switch, each in networks of its own (IPv4 /16, IPv6 /32) and with delay, loss and a
 * rate between them. Their addresses look public, so that no program has to be told that this is a lab, and miniupnpd
 * refuses others; no route leads out. What is for nobody here is silence, and multicast ends at the routers.
 */

import { ip, nft } from "./ip.ts";
import { depthOf, firstHost, type HostName, type House, type Place, parseNatTopology } from "./nat-topology.ts";
import { Namespaces } from "./namespaces.ts";
import type { AddressPlan, NetnsHost, NetnsHostOptions } from "./netns-host.ts";
import { Router } from "./router.ts";
import { Switch } from "./switch.ts";

/** Between any two that are on the internet itself. */
export interface Internet {
  /** @default 0 */
  readonly roundTripMs?: number;
  /** Of packets, each way. @default 0 */
  readonly lossPercent?: number;
  /** Of each one's cable, each way. @default none */
  readonly rateMbit?: number;
}

interface Network {
  readonly switch: Switch;
  readonly plan: AddressPlan;
  readonly router?: Router;
  readonly options?: NetnsHostOptions;
}

export class NatLab<Name extends string> implements AsyncDisposable {
  readonly #namespaces: Namespaces;
  readonly #internet: Network;
  readonly #hosts = new Map<string, NetnsHost>();
  readonly #routers = new Map<string, Router>();
  readonly #switches: Switch[] = [];
  #nets = 0;
  #carriers = 0;

  /** @throws what is wrong with the topology, or what `ip` says when it cannot be built; nothing of it is left then */
  static async open<const Text extends string>(
    topology: Text,
    internet: Internet,
    signal: AbortSignal,
  ): Promise<NatLab<HostName<Text>>> {
    signal.throwIfAborted();
    const places = parseNatTopology(topology);
    const namespaces = await Namespaces.open();
    try {
      const lab = new NatLab<HostName<Text>>(namespaces, await openInternet(namespaces, internet));
      await lab.#settle(places, lab.#internet, signal);
      return lab;
    } catch (error) {
      await namespaces[Symbol.asyncDispose]();
      throw error;
    }
  }

  private constructor(namespaces: Namespaces, internet: Network) {
    this.#namespaces = namespaces;
    this.#internet = internet;
    this.#switches.push(internet.switch);
  }

  get hosts(): Readonly<Record<Name, NetnsHost>> {
    return Object.fromEntries(this.#hosts) as Record<Name, NetnsHost>;
  }

  host(name: Name): NetnsHost {
    return found(this.#hosts, name);
  }

  /** The one that this host is right behind; its `upstream` is what that is behind. */
  router(name: Name): Router {
    return found(this.#routers, name);
  }

  /** What others on the internet see of it: its own address, or that of the last router on the way. */
  publicIp4(name: Name): string {
    return this.#outermost(name).ip4;
  }

  /** Silence between these groups, wherever in their houses they are, until the next call; without any, it heals. */
  async partition(...groups: readonly (readonly Name[])[]): Promise<void> {
    await this.#internet.switch.partition(...groups.map((names) => names.map((name) => this.#outermost(name))));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#switches.map((each) => each.stop()));
    await this.#namespaces[Symbol.asyncDispose]();
  }

  #outermost(name: Name): NetnsHost {
    let router = this.#routers.get(name);
    while (router?.upstream !== undefined) router = router.upstream;
    return router?.outside ?? this.host(name);
  }

  /** One after the other, so that the same line always gives the same addresses. */
  async #settle(places: readonly Place[], network: Network, signal: AbortSignal): Promise<void> {
    for (const place of places) {
      signal.throwIfAborted();
      await (typeof place === "string" ? this.#addHost(place, network) : this.#addHouse(place, network, signal));
    }
  }

  async #addHost(name: string, { switch: bridge, plan, router, options }: Network): Promise<void> {
    const host = await bridge.plug(await this.#namespaces.add(name), plan, options);
    this.#hosts.set(name, host);
    if (router === undefined) return;
    this.#routers.set(name, router);
    await router.announce(host);
  }

  async #addHouse(house: House, { switch: bridge, plan, router: upstream, options }: Network, signal: AbortSignal) {
    const depth = depthOf(house);
    const namespace = await this.#namespaces.add(`${firstHost(house)}-router${depth === 1 ? "" : depth}`);
    // A carrier's inside is the net that was set aside for that; homes have whatever their maker chose.
    const net = house.net ?? (depth === 1 ? `10.${++this.#nets}.0` : `100.64.${++this.#carriers}`);
    const outside = await bridge.plug(namespace, plan, options);
    const router = await Router.open({ outside, upstream }, { kind: house.kind, net });
    this.#switches.push(router.switch);
    await this.#settle(house.inside, { switch: router.switch, plan: router.plan, router }, signal);
  }
}

/** Caps for one network, of whatever size, are not met by chance: each host is in another. */
async function openInternet(namespaces: Namespaces, internet: Internet): Promise<Network> {
  const bridge = await Switch.open(await namespaces.add("internet"));
  const { namespace } = bridge;
  const gateway = { ip4: "45.0.0.1", ip6: "2a0b::1" };
  await ip("-n", namespace, "address", "add", `${gateway.ip4}/8`, "dev", "switch");
  await ip("-n", namespace, "address", "add", `${gateway.ip6}/16`, "dev", "switch", "nodad");
  await nft(
    namespace,
    `table bridge internet {
  chain forward {
    type filter hook forward priority -10;
    ip daddr 224.0.0.0/4 drop
    ip6 daddr ff00::/8 icmpv6 type != { nd-neighbor-solicit, nd-neighbor-advert } drop
    ip6 daddr ff00::/8 meta l4proto != icmpv6 drop
  }
}
`,
  );
  let last = 0;
  const fresh = () => {
    const n = ++last;
    return { ip4: `45.${n}.77.7/8`, ip6: `2a0b:${n.toString(16)}::7/16` };
  };
  return { switch: bridge, plan: { fresh, gateway }, options: cableOf(internet) };
}

/** Every way crosses two cables. */
function cableOf({ roundTripMs = 0, lossPercent = 0, rateMbit }: Internet): NetnsHostOptions {
  if (roundTripMs === 0 && lossPercent === 0 && rateMbit === undefined) return {};
  return {
    delayMs: roundTripMs / 4,
    lossPercent: 100 * (1 - Math.sqrt(1 - lossPercent / 100)),
    ...(rateMbit === undefined ? {} : { rateMbit }),
  };
}

function found<Value>(map: ReadonlyMap<string, Value>, name: string): Value {
  const value = map.get(name);
  if (value === undefined) throw new Error(`"${name}" is not in this lab, or has no router`);
  return value;
}
