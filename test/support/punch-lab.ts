/** Nodes on loopback that punch: the first is reachable and is the DHT, the others behave as if they were behind NATs. */

import { randomBytes } from "node:crypto";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { Scope, silentLog, systemClock, systemRandom } from "../../src/base/index.ts";
import { type NodeId, type NodeRecord, nodeIdFromPublicKey } from "../../src/core/index.ts";
import {
  type Identity,
  identityFromSeed,
  type Pipe,
  Punch,
  type PunchDeps,
  type PunchOptions,
} from "../../src/network/index.ts";

export const LOOPBACK = "127.0.0.1";

const OWN_PARTS = ["load", "isKnown", "take", "clock", "bootstrap"] as const;
type OwnParts = Partial<Pick<PunchDeps, (typeof OWN_PARTS)[number]>>;

export interface PunchNodeOptions extends PunchOptions, OwnParts {
  readonly seed?: Uint8Array;
  readonly answers?: boolean;
  readonly reachable?: boolean;
  readonly port?: number;
}

export class PunchLab implements AsyncDisposable {
  readonly #scope = new Scope();
  /** The first port of the reachable node. */
  port = 0;
  /** It. */
  first: Punch | undefined;

  /** @param options of the reachable node */
  static async open(options: PunchNodeOptions = {}): Promise<PunchLab> {
    const lab = new PunchLab();
    lab.port = await freePorts(4);
    const { punch } = await lab.node({
      reachable: true,
      answers: true,
      port: lab.port,
      bootstrap: () => [],
      ...options,
    });
    lab.first = punch;
    await until(() => punch.state.endpoints === 4);
    return lab;
  }

  get signal(): AbortSignal {
    return this.#scope.signal;
  }

  async node({ seed = randomBytes(32), answers = false, ...options }: PunchNodeOptions = {}) {
    const identity = await identityFromSeed(seed);
    const pipes: Pipe[] = [];
    const port = options.port ?? (await freePorts(1));
    const role = { answers, port, publicHost: options.reachable === true ? LOOPBACK : undefined };
    const deps = { ...this.#depsOf(identity), take: (pipe: Pipe) => void pipes.push(pipe), ...parts(options) };
    const punch = this.#scope.own(new Punch(deps, role, { host: LOOPBACK, ...options }));
    this.#scope.spawn((signal) => punch.run(signal));
    if (answers) await until(() => punch.state.answers);
    return { punch, pipes, identity };
  }

  #depsOf(identity: Identity): PunchDeps {
    return {
      identity,
      bootstrap: () => [{ host: LOOPBACK, port: this.port }],
      mayReach: () => true,
      take: () => {},
      isKnown: () => false,
      record: () => recordOf(identity),
      clock: systemClock,
      random: systemRandom,
      log: silentLog,
    };
  }

  /** A node that is nowhere. */
  stranger(): NodeId {
    return nodeIdFromPublicKey(randomBytes(32));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#scope.close();
  }
}

function parts(options: OwnParts): OwnParts {
  return Object.fromEntries(OWN_PARTS.filter((part) => part in options).map((part) => [part, options[part]]));
}

/** The first of `count` UDP ports in a row that nobody has. */
export async function freePorts(count: number): Promise<number> {
  for (;;) {
    const first = 20_000 + Math.floor(Math.random() * 30_000);
    const free = await Promise.all(Array.from({ length: count }, (_, offset) => isFree(first + offset)));
    if (free.every(Boolean)) return first;
  }
}

async function isFree(port: number): Promise<boolean> {
  const socket = createSocket("udp4");
  try {
    socket.bind(port, LOOPBACK);
    await once(socket, "listening");
    return true;
  } catch {
    return false;
  } finally {
    socket.close();
  }
}

/** Looks every 10 ms, for at most 10 s. */
export async function until(come: () => boolean | Promise<boolean>): Promise<void> {
  for (let tries = 0; !(await come()); tries++) {
    if (tries === 1_000) throw new Error("it did not come about within 10 s");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

export function recordOf({ id }: Identity): NodeRecord {
  return {
    v: 1,
    id,
    seq: 7,
    name: "attic",
    addresses: ["198.51.100.7"],
    port: 8088,
    udpPort: 0,
    nat: "cone",
    via: [],
    labels: [],
    resources: { cpus: 1, memoryBytes: 0, diskBytes: 0, gpus: [] },
    version: "0",
    info: "",
    lends: true,
    boot: "0123456789abcdef",
  };
}
