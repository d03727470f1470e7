/**
 * How HTTP/2 is set up between the owner's daemon and the resident, on both ends.
 *
 * The way is short (a socket or a pipe on one machine), so windows are small: they bound what a stream whose reader stops
 * holds in memory.
 */

import type { ClientSessionOptions, Http2Session, ServerOptions, Settings } from "node:http2";
import type { Duplex } from "node:stream";
import type { Sleeper } from "./clock.ts";

/** Streams of one resident at once, over all its sessions: 256 with these windows hold 64 MiB at worst, on each side. */
export const MAX_STREAMS = 256;
const STREAM_WINDOW_BYTES = 256 * 1024;
/** Node's session window bounds nothing: never in the way. */
const SESSION_WINDOW_BYTES = 64 * 1024 * 1024;

const settings: Settings = {
  initialWindowSize: STREAM_WINDOW_BYTES,
  maxConcurrentStreams: MAX_STREAMS,
  /** A path of 4 KiB, percent-encoded twice. */
  maxHeaderListSize: 32 * 1024,
  maxFrameSize: 64 * 1024,
  enablePush: false,
};

export const sessionOptions: ServerOptions & ClientSessionOptions = {
  settings,
  /** In MB; the default of 10 refuses streams under load. */
  maxSessionMemory: 64,
  maxHeaderListPairs: 64,
  maxOutstandingPings: 10,
  maxSendHeaderBlockLength: 32 * 1024,
};

export function widen(session: Http2Session): void {
  if (session.connecting) session.once("connect", () => session.setLocalWindowSize(SESSION_WINDOW_BYTES));
  else session.setLocalWindowSize(SESSION_WINDOW_BYTES);
}

/** A lock costs at most this much. */
const TICK_MS = 20;

/**
 * Keeps a session from locking up when much goes both ways at once: one of Node's stops reading while a write of its own is
 * under way, and two can wait for each other for ever. So while there are streams and nothing arrives, reading is switched
 * on again.
 * @returns to be called with each stream that opens
 */
export function keepReading(session: Http2Session, duplex: Duplex, sleeper: Sleeper): (stream: Duplex) => void {
  const gone = new AbortController();
  session.once("close", () => gone.abort());
  let streams = 0;
  let watching = false;
  const watch = async () => {
    let before: number | undefined;
    while (streams > 0) {
      await sleeper.sleep(TICK_MS, gone.signal);
      const now = bytesRead(duplex);
      if (!duplex.destroyed && (now === undefined || now === before)) startReading(duplex);
      before = now;
    }
    watching = false;
  };
  return (stream) => {
    streams++;
    stream.once("close", () => streams--);
    if (watching || gone.signal.aborted) return;
    watching = true;
    watch().catch(() => undefined); // the session is gone
  };
}

function bytesRead(duplex: Duplex & { readonly bytesRead?: number }): number | undefined {
  return duplex.bytesRead;
}

/** A socket's `resume()` believes that it reads already: the session stopped the handle below it. */
function startReading(duplex: Duplex & { readonly _handle?: { readStart?(): number } | null }): void {
  if (duplex._handle?.readStart !== undefined) duplex._handle.readStart();
  else duplex.resume();
}
