/**
 * The only file that imports hyperdht: DHT, hole punching and Noise streams over UDP, typed by `hyperdht.d.ts`.
 *
 * It is loaded when it is first needed, since its native parts are missing on some systems and cost 50 ms on the
 * others. What the library would do by itself where an option is left out is refused here: without a list of
 * bootstrap nodes it joins a public network, port 0 means 49737, and on "::" it garbles addresses (its DHT is IPv4 only).
 */

import { isIPv4 } from "node:net";
import type {
  Address,
  CreateHandshake,
  default as HyperDht,
  Handshake,
  KeyPair,
  NoisePayload,
  SecretStream,
  Server,
} from "hyperdht";

export type { Address, CreateHandshake, Handshake, KeyPair, NoisePayload, SecretStream };
export type Dht = HyperDht;
export type DhtServer = Server;

export interface DhtOptions {
  /** Nodes of this network that answer from outside. May be empty, must be there. */
  readonly bootstrap: readonly Address[];
  /** Others that were known once. */
  readonly nodes?: readonly Address[];
  readonly keyPair: KeyPair;
  /** The address to bind. */
  readonly host: string;
  readonly port: number;
  /** Where others reach this very port. Undefined: behind a NAT, and any port will do. */
  readonly publicHost?: string | undefined;
  /** Whether packets may be sent there because another node said so. */
  readonly mayReach: (address: Address) => boolean;
}

export interface Engine {
  /** @throws {TypeError} where an option is missing that the library would fill in its own way */
  readonly openDht: (options: DhtOptions) => Dht;
  /** One side of a Noise IK handshake. `context` must be the same on both sides; undefined: none. */
  readonly openHandshake: (sides: HandshakeSides) => Handshake;
}

export interface HandshakeSides {
  readonly keyPair: KeyPair;
  /** null: the other end dialled. */
  readonly remotePublicKey: Buffer | null;
  readonly context: Uint8Array | undefined;
}

/** NATs forget a mapping after 30 s or more; 20 s leaves room for one loss where it matters, and is 1 MB a day. */
const KEEP_ALIVE_MS = 20_000;
/** Punches that guess ports, one at a time. The library waits 20 s between two, which a busy node cannot. */
const RANDOM_PUNCH_INTERVAL_MS = 2_000;
/** Of each kind of record kept for others, about 300 bytes each. The library's 65,536 are 20 MB per endpoint. */
const MAX_RECORDS = 8_192;

/** @throws whatever keeps the native modules from loading */
export async function loadEngine(): Promise<Engine> {
  const [{ default: Library }, { default: NoiseWrap }] = await Promise.all([
    import("hyperdht"),
    import("hyperdht/lib/noise-wrap.js"),
  ]);
  return {
    openDht: (options) => {
      assertExplicit(options);
      const { port, publicHost, mayReach } = options;
      const open = { anyPort: false, firewalled: false, ephemeral: false };
      const dht =
        publicHost === undefined
          ? new Library({ ...shared(options), firewalled: true, ephemeral: true })
          : Library.bootstrapper(port, publicHost, { ...shared(options), ...open });
      dht._filterNode = mayReach; // the option of that name is not passed on
      quietenDht(dht);
      return dht;
    },
    openHandshake: ({ keyPair, remotePublicKey, context }) => {
      const wrap = new NoiseWrap(keyPair, remotePublicKey);
      // As a longer prologue would (Noise, section 5.3): whoever has not mixed in the same cannot read the first message.
      if (context !== undefined) wrap.handshake.mixHash(context);
      return wrap;
    },
  };
}

/** The library's answers to pings and queries decide nothing about this node: that it is reachable is proven elsewhere. */
function shared({ bootstrap, nodes = [], keyPair, host, port }: DhtOptions) {
  return {
    bootstrap: [...bootstrap],
    nodes: [...nodes],
    keyPair,
    host,
    port,
    quickFirewall: false,
    connectionKeepAlive: KEEP_ALIVE_MS,
    randomPunchInterval: RANDOM_PUNCH_INTERVAL_MS,
    maxSize: MAX_RECORDS,
  };
}

function assertExplicit({ bootstrap, host, port, publicHost }: DhtOptions): void {
  if (!Array.isArray(bootstrap))
    throw new TypeError("without a list of bootstrap nodes a public network would be joined");
  if (!isIPv4(host)) throw new TypeError(`the DHT binds IPv4 addresses only, not "${host}"`);
  if (!Number.isInteger(port) || port < 1 || port > 65_535) throw new TypeError(`not a port to choose: ${port}`);
  if (publicHost !== undefined && !isIPv4(publicHost)) throw new TypeError(`not an IPv4 address: "${publicHost}"`);
}

/**
 * Binds its port, or closes it. An end that cannot be bound the library does not close either: its look-out for network
 * interfaces would go on for ever, and keep the process from its end.
 * @throws what keeps it from being bound
 */
export async function bindDht(dht: Dht): Promise<void> {
  try {
    await dht.bind();
  } catch (error) {
    await Promise.allSettled([dht.destroy({ force: true }), dht.io.networkInterfaces.destroy()]);
    throw error;
  }
}

/** How often the library pings the nodes that pass handshakes on, and how often it should. */
const LIBRARY_PING_MS = 3_000;
const PING_MS = 20_000;

/**
 * Makes an idle server quieter: every 3 s would be 13 MB a day, every 20 s keeps a mapping of 30 s as well (a lost ping is
 * repeated after 1 s). A lost one is noticed that much later. Its own refresh then comes too seldom: call `refresh`.
 */
export function quietenServer(server: DhtServer): void {
  const sleeper = server._announcer?._sleeper;
  if (sleeper === undefined) return;
  const pause = sleeper.pause.bind(sleeper);
  sleeper.pause = (ms) => pause(ms === LIBRARY_PING_MS ? PING_MS : ms);
}

/** Looks for the best relays, and tells them that it is here, without waiting for the next ping. */
export function announceNow(server: DhtServer): void {
  server.refresh();
  server._announcer?._sleeper.resume();
}

/** hyperdht lib/constants.js: who passes packets on to whom? */
const FIND_PEER = 2;

/** Whether the DHT node at `relay` knows this server. One that started anew answers pings, and has forgotten. @throws where it is silent */
export async function isKnownAt(relay: Address, { dht, server }: { dht: Dht; server: DhtServer }): Promise<boolean> {
  if (server.target === null) return true; // it is about to be announced
  const { value } = await dht.request({ command: FIND_PEER, target: server.target }, relay);
  return value !== null;
}

/** One in so many is enough: looks at the routing table every 40 s and queries every 5 min are 4 MB a day for each end. */
const ONE_IN = 4;

/** Makes an idle end of the DHT quieter. Dead nodes stay in its table for longer; what is asked then finds out too. */
export function quietenDht(dht: Dht): void {
  const isLost = () => dht.toArray({ limit: 1 }).length === 0; // then it asks where it began
  const seldom = (work: () => void) => {
    let times = 0;
    return () => {
      if (times++ % ONE_IN === 0 || isLost()) work();
    };
  };
  if (dht._pingSome !== undefined) dht._pingSome = seldom(dht._pingSome.bind(dht));
  const refresh = dht.refresh.bind(dht);
  dht.refresh = seldom(refresh);
  refreshes.set(dht, refresh);
}

const refreshes = new WeakMap<Dht, () => void>();

/** Looks for nodes now. */
export function refreshNow(dht: Dht): void {
  (refreshes.get(dht) ?? dht.refresh)();
}

/** A frame of ours has 64 KiB at most and what sealing adds. */
const MAX_FRAME_BYTES = 128 * 1024;

/** Ends the stream where a frame says that it is larger than any of ours: the library would set aside up to 16 MiB for it. */
export function boundFrames(stream: SecretStream): void {
  let length = 0;
  Object.defineProperty(stream, "_len", {
    get: () => length,
    set: (value: number) => {
      length = value;
      if (value > MAX_FRAME_BYTES) stream.destroy(new Error("the other end sends frames that are too large"));
    },
  });
}
