/**
 * Port Control Protocol (RFC 6887): MAP for IPv4, and for IPv6, where it opens the firewall for an address and a port.
 */

import { isIPv6 } from "node:net";
import ipaddr from "ipaddr.js";
import { Failure } from "../../core/index.ts";
import { Epoch } from "./epoch.ts";
import { GatewaySocket } from "./gateway-socket.ts";
import {
  addressOutside,
  type Lease,
  LIFETIME_S,
  type Mapper,
  type MapperDeps,
  portOutside,
  type Wish,
} from "./mapper.ts";

const VERSION = 2;
const ANNOUNCE = 0;
const MAP = 1;
const REPLY = 0x80;
const HEADER_BYTES = 24;
const MAP_BYTES = 36;
const NONCE_BYTES = 12;
const PROTOCOLS = { tcp: 6, udp: 17 } as const;

/** RFC 6887 section 7.4, as far as a person can make something of it. */
const RESULTS: Readonly<Record<number, string>> = {
  2: "the router does not allow it",
  7: "the router has no connection itself",
  8: "the router has no more room for mappings",
  9: "the router cannot map this protocol",
  10: "the router has given this machine as many ports as it gives",
  11: "the port is taken on the router",
  12: "there is another router in between",
};

export async function openPcp({ gateway, own, clock, random }: MapperDeps, signal: AbortSignal): Promise<Mapper> {
  const socket = await GatewaySocket.open({ gateway: gateway.address, own }, clock, signal);
  const mapper = new Pcp(socket, {
    own,
    gateway: gateway.address,
    now: () => clock.now() / 1000,
    nonce: () => random.bytes(NONCE_BYTES),
  });
  try {
    await mapper.announce(signal);
    return mapper;
  } catch (error) {
    await socket[Symbol.asyncDispose]();
    throw error;
  }
}

interface PcpOptions {
  readonly own: string;
  readonly gateway: string;
  /** Seconds. */
  readonly now: () => number;
  readonly nonce: () => Uint8Array;
}

class Pcp implements Mapper {
  readonly method = "PCP";
  readonly gateway: string;
  readonly #socket: GatewaySocket;
  readonly #options: PcpOptions;
  readonly #epoch = new Epoch();

  constructor(socket: GatewaySocket, options: PcpOptions) {
    this.#socket = socket;
    this.#options = options;
    this.gateway = options.gateway;
  }

  /** @returns whether the router still knows what it knew @throws {Failure} unreachable: it does not speak PCP */
  async announce(signal: AbortSignal): Promise<boolean> {
    const reply = await this.#ask(encodeHeader(ANNOUNCE, 0, this.#options.own), signal);
    if (reply[0] !== VERSION) throw new Failure("unreachable", "the router does not speak PCP");
    return this.#epoch.holds(reply.readUInt32BE(8), this.#options.now());
  }

  async map(wish: Wish, before: Lease | undefined, signal: AbortSignal): Promise<Lease> {
    const handle = before?.handle ?? Buffer.from(this.#options.nonce()).toString("hex");
    const wanted = { ...wish, external: before?.external ?? wish.port, handle, lifetimeS: LIFETIME_S };
    const reply = await this.#ask(encodeMap(wanted, this.#options.own), signal, handle);
    const result = reply[3] ?? 0;
    if (result !== 0 || reply.length < HEADER_BYTES + MAP_BYTES)
      throw new Failure("not-allowed", RESULTS[result] ?? `the router answers with PCP error ${result}`);
    this.#epoch.holds(reply.readUInt32BE(8), this.#options.now());
    const external = portOutside(reply.readUInt16BE(HEADER_BYTES + 18));
    const address = addressOutside(decodeAddress(reply.subarray(HEADER_BYTES + 20, HEADER_BYTES + 36)));
    return { ...wish, external, address, handle, lifetimeS: Math.max(60, reply.readUInt32BE(4)) };
  }

  async unmap(lease: Lease, signal: AbortSignal): Promise<void> {
    await this.#ask(encodeMap({ ...lease, external: 0, lifetimeS: 0 }, this.#options.own), signal, lease.handle);
  }

  async holds(_lease: Lease, signal: AbortSignal): Promise<boolean> {
    return await this.announce(signal);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#socket[Symbol.asyncDispose]();
  }

  #ask(request: Buffer, signal: AbortSignal, nonce?: string): Promise<Buffer> {
    const opcode = (request[1] ?? 0) | REPLY;
    const isAnswer = (packet: Buffer) => {
      if (packet.length < 8) return false;
      if (packet[0] !== VERSION) return true; // NAT-PMP, which says that it knows no such version
      if (packet.length < HEADER_BYTES || packet[1] !== opcode) return false;
      return nonce === undefined || packet.toString("hex", HEADER_BYTES, HEADER_BYTES + NONCE_BYTES) === nonce;
    };
    return this.#socket.ask(request, isAnswer, signal);
  }
}

function encodeHeader(opcode: number, lifetimeS: number, own: string): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header[0] = VERSION;
  header[1] = opcode;
  header.writeUInt32BE(lifetimeS, 4);
  header.set(encodeAddress(own), 8);
  return header;
}

function encodeMap(
  {
    protocol,
    port,
    external,
    handle,
    lifetimeS,
  }: Pick<Lease, "protocol" | "port" | "external" | "handle" | "lifetimeS">,
  own: string,
): Buffer {
  const body = Buffer.alloc(MAP_BYTES);
  body.write(handle, "hex");
  body[NONCE_BYTES] = PROTOCOLS[protocol];
  body.writeUInt16BE(port, 16);
  body.writeUInt16BE(external, 18);
  // Any external address: of IPv4 it is written as ::ffff:0.0.0.0.
  body.set(encodeAddress(isIPv6(own) ? "::" : "0.0.0.0"), 20);
  return Buffer.concat([encodeHeader(MAP, lifetimeS, own), body]);
}

/** Sixteen bytes; IPv4 as ::ffff:a.b.c.d. */
function encodeAddress(text: string): number[] {
  const address = ipaddr.parse(text);
  return (address.kind() === "ipv4" ? (address as ipaddr.IPv4).toIPv4MappedAddress() : address).toByteArray();
}

function decodeAddress(bytes: Buffer): string {
  return ipaddr.process(ipaddr.fromByteArray([...bytes]).toString()).toString();
}
