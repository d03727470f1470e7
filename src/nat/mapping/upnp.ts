/**
 * UPnP Internet Gateway Device, versions 1 and 2: port mappings for IPv4, and for IPv6 pinholes in the firewall.
 */

import { isIPv6 } from "node:net";
import { type Random, randomBelow } from "../../base/index.ts";
import { Failure } from "../../core/index.ts";
import {
  addressOutside,
  type Lease,
  LIFETIME_S,
  type Mapper,
  type MapperDeps,
  portOutside,
  type Protocol,
  type Wish,
} from "./mapper.ts";
import { call, type ControlOptions, element, readServices, type Service, UpnpError } from "./soap.ts";
import { findDescription } from "./ssdp.ts";

const NAMES = { tcp: "TCP", udp: "UDP" } as const;
/** Of IANA, as pinholes want them. */
const NUMBERS = { tcp: 6, udp: 17 } as const;
const WAN_SERVICES = /:service:WAN(?:IP|PPP)Connection:[12]$/;
const FIREWALL_SERVICE = /:service:WANIPv6FirewallControl:1$/;

/** Of WANIPConnection:2, and of WANIPv6FirewallControl:1. */
const NO_SUCH_ENTRY = new Set([714, 704]);
const CONFLICT = new Set([718, 729]);
const ONLY_PERMANENT = 725;
const ONLY_SAME_PORT = 724;
/** Other ports outside that are tried where a router does not choose by itself. */
const OTHER_PORTS = 4;

export async function openUpnp({ gateway, own, clock, random }: MapperDeps, signal: AbortSignal): Promise<Mapper> {
  const place = await findDescription({ gateway: gateway.address, own, clock }, signal);
  const options = { own, clock };
  const services = await readServices(place, options, signal);
  const wanted = isIPv6(own) ? FIREWALL_SERVICE : WAN_SERVICES;
  const service = services.filter(({ type }) => wanted.test(type)).sort((a, b) => (a.type > b.type ? -1 : 1))[0];
  if (service === undefined) throw new Failure("unreachable", "the router speaks UPnP, but opens no ports by it");
  const facts = { gateway: gateway.address, service, options, random };
  if (isIPv6(own)) return new Pinholes(facts);
  return new PortMappings(facts, await externalAddress(service, options, signal));
}

interface UpnpFacts {
  readonly gateway: string;
  readonly service: Service;
  readonly options: ControlOptions;
  readonly random: Random;
}

async function externalAddress(
  service: Service,
  options: ControlOptions,
  signal: AbortSignal,
): Promise<string | undefined> {
  const said = await asked(() => call({ ...service, action: "GetExternalIPAddress", words: [] }, options, signal));
  return addressOutside(element(said, "NewExternalIPAddress"));
}

class PortMappings implements Mapper {
  readonly method = "UPnP";
  readonly gateway: string;
  readonly #facts: UpnpFacts;
  readonly #address: string | undefined;

  constructor(facts: UpnpFacts, address: string | undefined) {
    this.#facts = facts;
    this.gateway = facts.gateway;
    this.#address = address;
  }

  async map(wish: Wish, before: Lease | undefined, signal: AbortSignal): Promise<Lease> {
    const first = before?.external ?? wish.port;
    const { random } = this.#facts;
    const others = Array.from({ length: OTHER_PORTS }, () => 1_024 + randomBelow(random, 64_512));
    for (const external of [first, ...others]) {
      try {
        return await this.#add(wish, external, signal);
      } catch (error) {
        if (!(error instanceof UpnpError) || !CONFLICT.has(error.code)) throw refusalOf(error);
      }
    }
    throw new Failure("not-allowed", `port ${wish.port} is taken on the router, and so are others`);
  }

  async unmap({ protocol, external }: Lease, signal: AbortSignal): Promise<void> {
    try {
      await this.#call("DeletePortMapping", entry(protocol, external), signal);
    } catch (error) {
      if (!(error instanceof UpnpError) || !NO_SUCH_ENTRY.has(error.code)) throw refusalOf(error);
    }
  }

  async holds({ protocol, external, port }: Lease, signal: AbortSignal): Promise<boolean> {
    try {
      const said = await this.#call("GetSpecificPortMappingEntry", entry(protocol, external), signal);
      const { own } = this.#facts.options;
      return element(said, "NewInternalClient") === own && Number(element(said, "NewInternalPort")) === port;
    } catch (error) {
      if (error instanceof UpnpError) return !NO_SUCH_ENTRY.has(error.code); // it cannot say: then it may be there
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  /** Version 2 chooses another port itself where the first is taken. */
  async #add(wish: Wish, external: number, signal: AbortSignal): Promise<Lease> {
    const { options, service } = this.#facts;
    const chooses = service.type.endsWith("WANIPConnection:2");
    const add = async (lifetimeS: number): Promise<Lease> => {
      const words = [
        ...entry(wish.protocol, external),
        ["NewInternalPort", wish.port],
        ["NewInternalClient", options.own],
        ["NewEnabled", 1],
        ["NewPortMappingDescription", "p2prc"],
        ["NewLeaseDuration", lifetimeS],
      ] as const;
      const said = await this.#call(chooses ? "AddAnyPortMapping" : "AddPortMapping", words, signal);
      const given = portOutside(chooses ? Number(element(said, "NewReservedPort")) : external);
      return { ...wish, external: given, address: this.#address, lifetimeS, handle: "" };
    };
    try {
      return await add(LIFETIME_S);
    } catch (error) {
      if (error instanceof UpnpError && error.code === ONLY_PERMANENT) return await add(0);
      if (error instanceof UpnpError && error.code === ONLY_SAME_PORT && external !== wish.port)
        throw new Failure(
          "not-allowed",
          `port ${wish.port} is another program's on the router, which maps a port to itself only`,
        );
      throw error;
    }
  }

  #call(action: string, words: readonly (readonly [string, string | number])[], signal: AbortSignal): Promise<string> {
    const { service, options } = this.#facts;
    return call({ ...service, action, words }, options, signal);
  }
}

class Pinholes implements Mapper {
  readonly method = "UPnP";
  readonly gateway: string;
  readonly #facts: UpnpFacts;

  constructor(facts: UpnpFacts) {
    this.#facts = facts;
    this.gateway = facts.gateway;
  }

  async map(wish: Wish, before: Lease | undefined, signal: AbortSignal): Promise<Lease> {
    const { own } = this.#facts.options;
    if (before !== undefined && (await this.#renew(before, signal))) return before;
    const words = [
      ["RemoteHost", ""],
      ["RemotePort", 0],
      ["InternalClient", own],
      ["InternalPort", wish.port],
      ["Protocol", NUMBERS[wish.protocol]],
      ["LeaseTime", LIFETIME_S],
    ] as const;
    const said = await asked(() => this.#call("AddPinhole", words, signal));
    return {
      ...wish,
      external: wish.port,
      address: own,
      lifetimeS: LIFETIME_S,
      handle: element(said, "UniqueID") ?? "",
    };
  }

  async unmap({ handle }: Lease, signal: AbortSignal): Promise<void> {
    try {
      await this.#call("DeletePinhole", [["UniqueID", handle]], signal);
    } catch (error) {
      if (!(error instanceof UpnpError) || !NO_SUCH_ENTRY.has(error.code)) throw refusalOf(error);
    }
  }

  async holds({ handle }: Lease, signal: AbortSignal): Promise<boolean> {
    try {
      await this.#call("GetPinholePackets", [["UniqueID", handle]], signal);
      return true;
    } catch (error) {
      if (error instanceof UpnpError) return !NO_SUCH_ENTRY.has(error.code);
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  async #renew({ handle }: Lease, signal: AbortSignal): Promise<boolean> {
    try {
      await this.#call(
        "UpdatePinhole",
        [
          ["UniqueID", handle],
          ["NewLeaseTime", LIFETIME_S],
        ],
        signal,
      );
      return true;
    } catch (error) {
      if (error instanceof UpnpError) return false;
      throw error;
    }
  }

  #call(action: string, words: readonly (readonly [string, string | number])[], signal: AbortSignal): Promise<string> {
    const { service, options } = this.#facts;
    return call({ ...service, action, words }, options, signal);
  }
}

/** What names a mapping: from anywhere, to that port outside. */
function entry(protocol: Protocol, external: number) {
  return [
    ["NewRemoteHost", ""],
    ["NewExternalPort", external],
    ["NewProtocol", NAMES[protocol]],
  ] as const;
}

async function asked(work: () => Promise<string>): Promise<string> {
  try {
    return await work();
  } catch (error) {
    throw refusalOf(error);
  }
}

function refusalOf(error: unknown): unknown {
  if (!(error instanceof UpnpError)) return error;
  return new Failure("not-allowed", `the router refuses: ${error.message}`, { cause: error });
}
