/** hyperdht 6.34 ships no types. These are the parts that `engine.ts` uses, as its source has them. */

declare module "hyperdht" {
  import type { EventEmitter } from "node:events";

  export interface Address {
    readonly host: string;
    readonly port: number;
  }

  export interface KeyPair {
    readonly publicKey: Buffer;
    /** libsodium's: the seed and the public key. */
    readonly secretKey: Buffer;
  }

  /** What Noise carries in the first message of each side (lib/messages.js). */
  export interface NoisePayload {
    firewall: number;
    holepunch: { id: number; relays: { relayAddress: Address; peerAddress: Address }[] } | null;
    addresses4: Address[];
    udx: { reusableSocket: boolean; id: number; seq: number } | null;
    relayThrough: { publicKey: Buffer; token: Buffer } | null;
    relayAddresses: Address[] | null;
  }

  /** One side of a Noise IK handshake (lib/noise-wrap.js). */
  export interface Handshake {
    readonly remotePublicKey: Buffer;
    send(payload: NoisePayload): Buffer;
    recv(message: Buffer): NoisePayload;
    final(): unknown;
  }

  export type CreateHandshake = (keyPair: KeyPair, remotePublicKey: Buffer | null) => Handshake;

  /** A stream of UDP packets (udx-native); encrypted by the one below. */
  export interface RawStream extends EventEmitter {
    readonly id: number;
    readonly remoteHost: string | null;
    readonly remotePort: number;
    write(data: Buffer): boolean;
  }

  /** @hyperswarm/secret-stream on streamx: `write` takes no callback. */
  export interface SecretStream extends EventEmitter {
    readonly remotePublicKey: Buffer;
    readonly rawStream: RawStream | null;
    readonly destroyed: boolean;
    write(data: Uint8Array): boolean;
    end(): void;
    resume(): void;
    destroy(error?: Error): void;
  }

  type MayPunch = (remoteFirewall: number, localFirewall: number, remoteAddresses: readonly Address[]) => boolean;

  export interface ConnectOptions {
    relayAddresses?: Address[];
    fastOpen?: boolean;
    /** Whether to try the other end's private addresses where both have the same public one. */
    localConnection?: boolean;
    holepunch?: MayPunch;
    createHandshake?: CreateHandshake;
  }

  export interface ServerOptions {
    /** true refuses. */
    firewall?(remotePublicKey: Buffer, payload: NoisePayload, from: Address): boolean;
    holepunch?: MayPunch;
    shareLocalAddress?: boolean;
    createHandshake?: CreateHandshake;
    /** How long a handshake that has ended is remembered: a second copy of its first message changes nothing. */
    handshakeClearWait?: number;
  }

  export interface Server extends EventEmitter {
    listen(keyPair: KeyPair): Promise<unknown>;
    /** Looks for better relays at the next round. */
    refresh(): void;
    close(): Promise<void>;
    readonly relayAddresses: readonly Address[];
    /** The hash of its key. Null before it listens. */
    readonly target: Buffer | null;
    readonly _announcer: { readonly _sleeper: { pause(ms: number): Promise<void>; resume(): void } } | null;
  }

  export interface Options {
    bootstrap: Address[];
    nodes?: Address[];
    keyPair?: KeyPair;
    port: number;
    /** To bind. */
    host: string;
    anyPort?: boolean;
    firewalled?: boolean;
    ephemeral?: boolean;
    quickFirewall?: boolean;
    connectionKeepAlive?: number;
    randomPunchInterval?: number;
    maxSize?: number;
  }

  export default class HyperDHT extends EventEmitter {
    constructor(options: Options);
    /** Knows its own address from the start, and so can be the first of a network. */
    static bootstrapper(port: number, host: string, options: Options): HyperDHT;
    connect(remotePublicKey: Buffer, options?: ConnectOptions): SecretStream;
    createServer(options: ServerOptions, onConnection: (stream: SecretStream) => void): Server;
    bind(): Promise<void>;
    fullyBootstrapped(): Promise<void>;
    mutablePut(keyPair: KeyPair, value: Buffer, options: { seq: number }): Promise<unknown>;
    mutableGet(publicKey: Buffer): Promise<{ readonly value: Buffer; readonly seq: number } | null>;
    /** Looks for nodes in the background; every 5 min by itself. */
    refresh: () => void;
    request(
      message: { readonly command: number; readonly target: Buffer },
      to: Address,
    ): Promise<{ readonly value: Buffer | null }>;
    toArray(options?: { limit?: number }): Address[];
    remoteAddress(): Address | null;
    destroy(options?: { force?: boolean }): Promise<void>;
    /** What speaks UDP (dht-rpc lib/io.js). */
    readonly io: { readonly networkInterfaces: { destroy(): Promise<void> } };
    readonly rawStreams: Iterable<RawStream>;
    bootstrapNodes: Address[];
    /** Which nodes that others name may be asked. */
    _filterNode: ((node: Address) => boolean) | null;
    /** Asks some nodes of the routing table whether they are there, every 40 s. */
    _pingSome?: () => void;
    readonly host: string | null;
    readonly port: number;
    readonly randomized: boolean;
    readonly online: boolean;
    readonly firewalled: boolean;
    readonly ephemeral: boolean;
  }
}

declare module "hyperdht/lib/noise-wrap.js" {
  import type { Handshake, KeyPair } from "hyperdht";

  export default class NoiseWrap implements Handshake {
    constructor(keyPair: KeyPair, remotePublicKey: Buffer | null);
    readonly handshake: { mixHash(data: Uint8Array): void };
    readonly remotePublicKey: Buffer;
    send: Handshake["send"];
    recv: Handshake["recv"];
    final: Handshake["final"];
  }
}
