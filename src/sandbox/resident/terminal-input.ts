/**
 * What is typed at a terminal, for a process that may not read it.
 *
 * Node's own stream for terminals waits in `write` until there is room, and all else with it; so this one asks the kernel,
 * which takes what there is room for (some 4 KiB) or says no, and asks again later.
 */

import { writeSync } from "node:fs";
import { Writable } from "node:stream";
import type { Sleeper } from "./clock.ts";

/** From one turn of the loop to the longest that a key may be held up once its reader is back. */
const FIRST_WAIT_MS = 1;
const LONGEST_WAIT_MS = 50;

export class TerminalInput extends Writable {
  readonly #fd: number;
  readonly #isOpen: () => boolean;
  readonly #sleeper: Sleeper;
  readonly #gone = new AbortController();

  /**
   * @param fd does not wait (O_NONBLOCK)
   * @param isOpen false as soon as it is closed: the next file that is opened gets its number
   */
  constructor(fd: number, isOpen: () => boolean, sleeper: Sleeper) {
    super({ highWaterMark: 16 * 1024 });
    this.#fd = fd;
    this.#isOpen = isOpen;
    this.#sleeper = sleeper;
  }

  override _write(bytes: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    void this.#settle(bytes, done);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#gone.abort();
    done(error);
  }

  async #settle(bytes: Buffer, done: (error?: Error | null) => void): Promise<void> {
    try {
      await this.#writeAll(bytes);
      done();
    } catch (error) {
      done(error as Error);
    }
  }

  async #writeAll(bytes: Buffer): Promise<void> {
    let waitMs = FIRST_WAIT_MS;
    for (let at = 0; at < bytes.length; ) {
      if (this.destroyed || !this.#isOpen()) return;
      const written = this.#writeSome(bytes.subarray(at));
      at += written;
      if (written > 0) waitMs = FIRST_WAIT_MS;
      else {
        await this.#sleeper.sleep(waitMs, this.#gone.signal);
        waitMs = Math.min(waitMs * 2, LONGEST_WAIT_MS);
      }
    }
  }

  #writeSome(bytes: Buffer): number {
    try {
      return writeSync(this.#fd, bytes);
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "EAGAIN") return 0;
      throw error;
    }
  }
}
