/** Where this node can be reached: what its record says, and what an invite may say beside it. */

import { isIPv4 } from "node:net";
import { type Endpoint, formatEndpoint, type NodeRecord } from "../core/index.ts";
import type { Lending } from "./lending.ts";
import type { OwnAddresses } from "./own-addresses.ts";

/** An invite must fit a small QR code: a public address of each family, and the LAN's. */
const MAX_IN_INVITE = 4;

export class Whereabouts {
  readonly #lending: Lending;
  readonly #addresses: OwnAddresses;

  constructor(lending: Lending, addresses: OwnAddresses) {
    this.#lending = lending;
    this.#addresses = addresses;
  }

  /** 0 while it does not listen. */
  get port(): number {
    return this.#lending.endpoints[0]?.port ?? 0;
  }

  /** For the record. */
  get told(): readonly string[] {
    return this.#lending.listening ? this.#addresses.told(this.#hosts) : [];
  }

  /** For the LAN, invites and the person, best first. */
  get near(): readonly Endpoint[] {
    if (!this.#lending.listening) return [];
    const hosts = new Set([...this.told, ...this.#addresses.near(this.#hosts)]);
    return Array.from(hosts, (host) => ({ host, port: this.port }));
  }

  /** Where anybody may reach it, as its record says, and then where those beside it may. */
  known({ addresses, port }: Pick<NodeRecord, "addresses" | "port">): readonly Endpoint[] {
    const told = this.#lending.listening ? addresses.map((host) => ({ host, port })) : [];
    const all = [...told, ...this.near];
    return [...new Map(all.map((endpoint) => [formatEndpoint(endpoint), endpoint])).values()];
  }

  inInvite(record: Pick<NodeRecord, "addresses" | "port">): readonly Endpoint[] {
    return this.known(record).slice(0, MAX_IN_INVITE);
  }

  get listening(): readonly string[] {
    return this.#lending.endpoints.map(formatEndpoint);
  }

  /** Whether it listens at this address of its own: `[::]` takes IPv4 as well, `0.0.0.0` takes IPv4 alone. */
  listensAt(address: string): boolean {
    const hosts = this.#hosts;
    return hosts.includes(address) || hosts.includes("::") || (hosts.includes("0.0.0.0") && isIPv4(address));
  }

  get #hosts(): readonly string[] {
    return this.#lending.endpoints.map(({ host }) => host);
  }
}
