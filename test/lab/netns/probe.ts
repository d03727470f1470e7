/**
 * One who sends and hears on a machine of a lab, by plain UDP and TCP at one port, for tests of the network itself.
 */

import type { NetnsHost } from "./netns-host.ts";
import type { NetnsProcess } from "./netns-process.ts";

/** From where something arrived: the outermost address of who sent it. */
export interface Seen {
  readonly address: string;
  readonly port: number;
}

/** What came of a TCP connection: `connected`, an error's code, or nothing for a while. */
export type Outcome = "connected" | "silence" | "ECONNREFUSED" | "ECONNRESET" | "ENETUNREACH" | "EHOSTUNREACH";

export const PROBE_PORT = 7_000;
/** A lab answers within a few milliseconds. What has not come by then does not come. */
const SILENCE_MS = 400;
const READY_MS = 10_000;
/** Words come from different probes: each is heard by its own. */
let words = 0;

export class Probe implements AsyncDisposable {
  readonly #program: NetnsProcess;

  static async open(host: NetnsHost): Promise<Probe> {
    const program = host.spawn(["python3", "-u", `${import.meta.dirname}/probe.py`, String(PROBE_PORT)]);
    await program.says(/^ready$/m, AbortSignal.timeout(READY_MS));
    return new Probe(program);
  }

  private constructor(program: NetnsProcess) {
    this.#program = program;
  }

  /** Sends a packet there. @returns from where `there` hears it, `undefined` when it does not */
  async sendTo(there: Probe, address: string, port: number = PROBE_PORT): Promise<Seen | undefined> {
    const word = `word${++words}`;
    this.#program.write(`udp ${address} ${port} ${word}\n`);
    const heard = new RegExp(`^heard ${word} (\\S+) (\\d+)$`, "m");
    const match = await there.#program.says(heard, AbortSignal.timeout(SILENCE_MS)).catch(() => undefined);
    return match === undefined ? undefined : { address: match[1] ?? "", port: Number(match[2]) };
  }

  /** Connects, and keeps the connection. */
  async connectTo(address: string, port: number = PROBE_PORT): Promise<Outcome> {
    const word = `word${++words}`;
    this.#program.write(`tcp ${address} ${port} ${word} ${SILENCE_MS}\n`);
    const [, outcome] = await this.#program.says(new RegExp(`^${word} (\\S+)$`, "m"), AbortSignal.timeout(READY_MS));
    return outcome as Outcome;
  }

  /** What comes of the connections that are kept when something is written into them: `alive` or an error's code. */
  async write(): Promise<string> {
    const word = `word${++words}`;
    this.#program.write(`write ${word} ${SILENCE_MS}\n`);
    const [, outcome] = await this.#program.says(new RegExp(`^${word} (\\S+)$`, "m"), AbortSignal.timeout(READY_MS));
    return outcome ?? "";
  }

  /** Hears what is sent to this multicast group too. */
  async join(group: string): Promise<void> {
    this.#program.write(`join ${group}\n`);
    await this.#program.says(new RegExp(`^joined ${group}$`, "m"), AbortSignal.timeout(READY_MS));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#program[Symbol.asyncDispose]();
  }
}
