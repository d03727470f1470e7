/**
 * Bounds what one link may leave unread in memory.
 *
 * HTTP/2's stream window says how much the other end may send ahead of the reader, but 64 readers
 * that stop with 8 MiB each would hold 512 MiB, and Node's session window does not bound their sum
 * (it is consumed on arrival). So the window of each stream shrinks as streams are opened and as
 * others are left unread, and should the sum pass the cap all the same, the stream that holds most is reset.
 */

import { constants, type Http2Session, type Http2Stream } from "node:http2";
import { passingBytes } from "../base/index.ts";
import { STREAM_WINDOW_BYTES } from "./http2-settings.ts";

/** What a link may hold in all (DESIGN: tunnel memory). */
export const MAX_UNREAD_BYTES = 32 * 1024 * 1024;
/** Half: the rest is for what is under way while a smaller window travels, and for the least windows of many streams. */
const BUDGET_BYTES = 16 * 1024 * 1024;
/** Below this a stream crawls, whatever the line. */
const MIN_WINDOW_BYTES = 128 * 1024;
/** Node ends a session with more than ten settings that are not acknowledged. From the whole window to the least it is halved six times. */
const MAX_UNTOLD = 8;
/** The sum is looked at after this much has come in, so a look costs nothing per chunk. */
const LOOK_EVERY_BYTES = 512 * 1024;

export class UnreadBytes {
  readonly #session: Http2Session;
  readonly #streams = new Set<Http2Stream>();
  #sinceLook = 0;
  #window = STREAM_WINDOW_BYTES;
  #told = STREAM_WINDOW_BYTES;
  /** Words of it that the other end has not acknowledged. */
  #untold = 0;

  constructor(session: Http2Session) {
    this.#session = session;
  }

  /** Counts what `stream` holds until it closes. */
  watch(stream: Http2Stream): void {
    this.#streams.add(stream);
    stream.once("close", () => {
      this.#streams.delete(stream);
      this.#fitWindow();
    });
    this.#fitWindow();
    // Node hands each chunk that arrives to push(), whether anybody reads or not.
    const push = stream.push.bind(stream);
    stream.push = (chunk: Buffer | null, ...rest) => {
      const wantsMore = push(chunk, ...rest);
      if (chunk !== null) this.#arrived(chunk.length);
      return wantsMore;
    };
  }

  get total(): number {
    let total = 0;
    for (const stream of this.#streams) total += stream.readableLength;
    return total;
  }

  #arrived(bytes: number): void {
    this.#sinceLook += bytes;
    if (this.#sinceLook < LOOK_EVERY_BYTES) return;
    passingBytes.add(this.#sinceLook);
    this.#sinceLook = 0;
    while (this.total > MAX_UNREAD_BYTES) {
      const [fullest] = [...this.#streams].sort((a, b) => b.readableLength - a.readableLength);
      if (fullest === undefined) return;
      this.#streams.delete(fullest);
      fullest.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
      fullest.destroy(); // with what it holds
    }
  }

  /**
   * A window that lets all open streams stop at once within what is left of the budget; powers of two, so that it rarely
   * changes. What is unread already counts: readers that stopped one after the other each had the window of their day.
   */
  #fitWindow(): void {
    const share = Math.max(0, BUDGET_BYTES - this.total) / Math.max(1, this.#streams.size);
    const power = 2 ** Math.floor(Math.log2(share));
    const window = Math.min(STREAM_WINDOW_BYTES, Math.max(MIN_WINDOW_BYTES, power));
    this.#window = window;
    this.#tellWindow();
  }

  /** A smaller window at once, a larger one when no word of it is under way: streams may come and go by the hundred within a round trip. */
  #tellWindow(): void {
    const most = this.#window < this.#told ? MAX_UNTOLD : 1;
    if (this.#window === this.#told || this.#untold >= most || this.#session.destroyed || this.#session.closed) return;
    this.#untold++;
    this.#told = this.#window;
    this.#session.settings({ initialWindowSize: this.#told }, () => {
      this.#untold--;
      this.#tellWindow(); // it may be another by now
    });
  }
}
