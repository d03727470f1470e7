/**
 * Tests how fast another node is, each way, one test at a time: two at once would measure each other.
 *
 * What comes out is noted as it comes, so that a link that breaks in the second half loses only that.
 */

import type { Clock } from "../base/index.ts";
import { Failure, type NodeId } from "../core/index.ts";
import type { Link, PathKind } from "../network/index.ts";
import { askDownload, askUpload } from "./ask.ts";
import { type Counted, MAX_TEST_BYTES, MAX_TEST_MS, type SpeedProgress, type SpeedResult } from "./contract.ts";
import { bytesPerSecond } from "./meter.ts";

/** What was learnt of a node's speed. A direction that was not measured is not named. */
export interface SpeedNote {
  readonly downBytesPerSecond?: number;
  readonly upBytesPerSecond?: number;
  /** Wall time, for people. */
  readonly at: number;
}

export interface SpeedTestsDeps {
  readonly clock: Clock;
  readonly note: (id: NodeId, speed: SpeedNote) => void;
}

export interface SpeedTestOptions {
  /** @default 50 MB */
  readonly maxBytes?: number;
  /** @default 10 s */
  readonly maxMs?: number;
  readonly note?: (progress: SpeedProgress) => void;
}

export type Speed = Omit<SpeedResult, "id" | "name" | "via">;

export class SpeedTests {
  readonly #deps: SpeedTestsDeps;
  #running = false;

  constructor(deps: SpeedTestsDeps) {
    this.#deps = deps;
  }

  /** @throws {Failure} busy, here or there; too-often; timed-out, link-lost, bad-reply */
  async run(link: Link, options: SpeedTestOptions, signal: AbortSignal): Promise<Speed> {
    if (this.#running) {
      throw new Failure("busy", "this machine is in the middle of another speed test", {
        hint: `try again in ${(2 * MAX_TEST_MS) / 1_000} s`,
      });
    }
    this.#running = true;
    try {
      using _held = link.hold();
      return await this.#test(link, options, signal);
    } finally {
      this.#running = false;
    }
  }

  async #test(link: Link, options: SpeedTestOptions, signal: AbortSignal): Promise<Speed> {
    const { clock, note } = this.#deps;
    const { maxBytes = MAX_TEST_BYTES, maxMs = MAX_TEST_MS } = options;
    const path: PathKind = link.path.kind;
    const limits = { clock, maxBytes, maxMs };
    const tell = (direction: SpeedProgress["direction"]) => (counted: Counted) =>
      options.note?.({ direction, bytes: counted.bytes, bytesPerSecond: bytesPerSecond(counted) });

    const down = await askDownload(link, { ...limits, note: tell("down") }, signal);
    const downBytesPerSecond = bytesPerSecond(down);
    note(link.peer, { downBytesPerSecond, at: clock.wallTime() });

    const up = await askUpload(link, { ...limits, note: tell("up"), downloaded: down }, signal);
    const upBytesPerSecond = bytesPerSecond(up);
    note(link.peer, { upBytesPerSecond, at: clock.wallTime() });
    return { path, downBytesPerSecond, upBytesPerSecond, down, up };
  }
}
