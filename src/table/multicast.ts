/**
 * Multicast DNS sockets, one for each network interface and address family, by `multicast-dns`.
 *
 * One socket for all interfaces would send on the one that the default route names, and on none where there is no
 * route: an air-gapped LAN. Several programs of one machine share the port (SO_REUSEADDR).
 */

import { createSocket } from "node:dgram";
import { networkInterfaces, type NetworkInterfaceInfo } from "node:os";
import ipaddr from "ipaddr.js";
import multicastDns from "multicast-dns";
import type { Log } from "../base/index.ts";
import type { Answer, Multicast, MulticastPacket } from "./lan-discovery.ts";

export interface MulticastOptions {
  /** @default 5353 */
  readonly port?: number;
  /** Only these addresses of this machine. @default one of each family on each interface */
  readonly only?: readonly string[];
  /** Where an interface has several addresses, these send: the ones that a person named to listen on. @default none */
  readonly preferred?: readonly string[];
}

/** Containers and VPNs give a machine dozens of interfaces: the first ones will do. */
const MAX_SOCKETS = 16;
const GROUP_6 = "ff02::fb";

interface Place {
  readonly name: string;
  readonly family: "IPv4" | "IPv6";
  readonly infos: readonly NetworkInterfaceInfo[];
}

/** Opens what can be opened; what cannot is logged and left out. All are closed when `signal` aborts. */
export async function openMulticast(
  log: Log,
  options: MulticastOptions,
  signal: AbortSignal,
): Promise<readonly Multicast[]> {
  const sockets = await Promise.all(
    places(options)
      .slice(0, MAX_SOCKETS)
      .map((place) => openOne(place, { log, options, signal })),
  );
  return sockets.filter((socket) => socket !== undefined);
}

/** Loopback only where there is nothing else, so that nodes of one machine find each other on it. */
function places({ only, preferred = [] }: MulticastOptions): Place[] {
  const all: Place[] = [];
  for (const [name, infos = []] of Object.entries(networkInterfaces())) {
    for (const family of ["IPv4", "IPv6"] as const) {
      const fit = infos.filter((info) => info.family === family && (only === undefined || only.includes(info.address)));
      const isSender = ({ address }: NetworkInterfaceInfo) =>
        family === "IPv4" ? preferred.includes(address) : address.startsWith("fe80:"); // RFC 6724 section 5, rule 2
      const infosByRank = fit.sort((a, b) => Number(isSender(b)) - Number(isSender(a)));
      if (fit.length > 0) all.push({ name, family, infos: infosByRank });
    }
  }
  const outer = all.filter(({ infos }) => infos.some((info) => !info.internal));
  return outer.length > 0 ? outer : all;
}

async function openOne(place: Place, { log, options, signal }: OpenOptions): Promise<Multicast | undefined> {
  const { name, family, infos } = place;
  const mdns = multicastDns({ ...socketOptions(place), ...(options.port === undefined ? {} : { port: options.port }) });
  mdns.on("warning", (error) => log.debug("multicast DNS", { interface: name, family, reason: error.message }));
  const { promise, resolve } = Promise.withResolvers<boolean>();
  mdns.on("ready", () => resolve(true));
  mdns.on("error", (error) => {
    log.debug("multicast DNS is not available", { interface: name, family, reason: error.message });
    resolve(false);
  });
  const close = () => {
    mdns.destroy();
    resolve(false);
  };
  if (signal.aborted) close();
  else signal.addEventListener("abort", close, { once: true });
  if (!(await promise)) {
    mdns.destroy();
    signal.removeEventListener("abort", close);
    return undefined;
  }
  return new MulticastSocket(mdns, infos);
}

interface OpenOptions {
  readonly log: Log;
  readonly options: MulticastOptions;
  readonly signal: AbortSignal;
}

function socketOptions({ name, family, infos }: Place): multicastDns.Options {
  const [first] = infos;
  // Bound to any address: one that is bound to a unicast address is not given multicasts (Linux).
  if (family === "IPv4") return { interface: first?.address, bind: "0.0.0.0", reuseAddr: true };
  const socket = createSocket({ type: "udp6", reuseAddr: true, ipv6Only: true });
  return { type: "udp6", ip: GROUP_6, interface: `::%${name}`, bind: "::", socket };
}

class MulticastSocket implements Multicast {
  readonly addresses: readonly string[];
  readonly #mdns: multicastDns.MulticastDNS;
  readonly #infos: readonly NetworkInterfaceInfo[];

  constructor(mdns: multicastDns.MulticastDNS, infos: readonly NetworkInterfaceInfo[]) {
    this.#mdns = mdns;
    this.#infos = infos;
    this.addresses = infos.map((info) => info.address);
  }

  send({ kind, questions, answers }: MulticastPacket): void {
    if (kind === "query") this.#mdns.query({ questions: questions as multicastDns.QueryOutgoingPacket["questions"] });
    else this.#mdns.respond({ answers: answers as multicastDns.ResponseOutgoingPacket["answers"] });
  }

  onPacket(listener: (packet: MulticastPacket, from: string) => void): Disposable {
    const hear = (
      packet: { questions?: unknown; answers?: unknown; additionals?: unknown; type?: unknown },
      from: { address: string },
    ) => {
      if (!this.#isOnLink(from.address)) return;
      const kind = packet.type === "query" ? "query" : "response";
      const answers = [...list<Answer>(packet.answers), ...list<Answer>(packet.additionals)];
      listener({ kind, questions: list(packet.questions), answers }, from.address);
    };
    this.#mdns.on("packet", hear);
    return { [Symbol.dispose]: () => void this.#mdns.removeListener("packet" as "message", hear) };
  }

  /** RFC 6762 section 11: what comes from elsewhere is not for us, and its sender may be somebody's victim. */
  #isOnLink(address: string): boolean {
    const sender = ipaddr.parse(address);
    return this.#infos.some(({ cidr }) => {
      if (cidr === null) return false;
      const [network, bits] = ipaddr.parseCIDR(cidr);
      return network.kind() === sender.kind() && sender.match(network, bits);
    });
  }
}

function list<T>(value: unknown): readonly T[] {
  return Array.isArray(value) ? (value as readonly T[]) : [];
}
