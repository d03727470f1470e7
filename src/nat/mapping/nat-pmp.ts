/** NAT-PMP (RFC 6886), which older routers know in place of PCP. IPv4 only. */

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

const VERSION = 0;
const EXTERNAL_ADDRESS = 0;
const OPCODES = { udp: 1, tcp: 2 } as const;
const REPLY = 128;
const ADDRESS_BYTES = 12;
const MAP_BYTES = 16;

/** RFC 6886 section 3.5. */
const RESULTS: Readonly<Record<number, string>> = {
  2: "the router does not allow it",
  3: "the router has no connection itself",
  4: "the router has no more room for mappings",
};

export async function openNatPmp({ gateway, own, clock }: MapperDeps, signal: AbortSignal): Promise<Mapper> {
  if (gateway.family !== 4) throw new Failure("unreachable", "NAT-PMP knows no IPv6");
  const socket = await GatewaySocket.open({ gateway: gateway.address, own }, clock, signal);
  const mapper = new NatPmp(socket, gateway.address, () => clock.now() / 1000);
  try {
    await mapper.look(signal);
    return mapper;
  } catch (error) {
    await socket[Symbol.asyncDispose]();
    throw error;
  }
}

class NatPmp implements Mapper {
  readonly method = "NAT-PMP";
  readonly gateway: string;
  readonly #socket: GatewaySocket;
  readonly #now: () => number;
  readonly #epoch = new Epoch();
  #address: string | undefined;

  constructor(socket: GatewaySocket, gateway: string, now: () => number) {
    this.#socket = socket;
    this.gateway = gateway;
    this.#now = now;
  }

  /** @returns whether the router still knows what it knew */
  async look(signal: AbortSignal): Promise<boolean> {
    const reply = await this.#ask(Buffer.from([VERSION, EXTERNAL_ADDRESS]), ADDRESS_BYTES, signal);
    this.#address = addressOutside([...reply.subarray(8, 12)].join("."));
    return this.#epoch.holds(reply.readUInt32BE(4), this.#now());
  }

  async map(wish: Wish, before: Lease | undefined, signal: AbortSignal): Promise<Lease> {
    const wanted = { external: before?.external ?? wish.port, lifetimeS: LIFETIME_S };
    const reply = await this.#ask(encodeMap(wish, wanted), MAP_BYTES, signal);
    this.#epoch.holds(reply.readUInt32BE(4), this.#now());
    const lifetimeS = Math.max(60, reply.readUInt32BE(12));
    return { ...wish, external: portOutside(reply.readUInt16BE(10)), address: this.#address, lifetimeS, handle: "" };
  }

  async unmap(lease: Lease, signal: AbortSignal): Promise<void> {
    await this.#ask(encodeMap(lease, { external: 0, lifetimeS: 0 }), MAP_BYTES, signal);
  }

  async holds(_lease: Lease, signal: AbortSignal): Promise<boolean> {
    return await this.look(signal);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#socket[Symbol.asyncDispose]();
  }

  async #ask(request: Buffer, bytes: number, signal: AbortSignal): Promise<Buffer> {
    const opcode = (request[1] ?? 0) + REPLY;
    const port = request.length > 2 ? request.readUInt16BE(4) : undefined;
    const isAnswer = (packet: Buffer) => {
      if (packet.length < 4 || packet[1] !== opcode) return false;
      if (packet.readUInt16BE(2) !== 0) return true;
      return packet.length >= bytes && (port === undefined || packet.readUInt16BE(8) === port);
    };
    const reply = await this.#socket.ask(request, isAnswer, signal);
    const result = reply.readUInt16BE(2);
    if (reply[0] !== VERSION || result === 1) throw new Failure("unreachable", "the router does not speak NAT-PMP");
    if (result !== 0)
      throw new Failure("not-allowed", RESULTS[result] ?? `the router answers with NAT-PMP error ${result}`);
    return reply;
  }
}

function encodeMap(
  { protocol, port }: Wish,
  { external, lifetimeS }: { readonly external: number; readonly lifetimeS: number },
): Buffer {
  const request = Buffer.alloc(12);
  request[1] = OPCODES[protocol];
  request.writeUInt16BE(port, 4);
  request.writeUInt16BE(external, 6);
  request.writeUInt32BE(lifetimeS, 8);
  return request;
}
