/**
 * How HTTP/2 is set up on a link: windows, caps, and what is sent to the other end.
 *
 * Node's default window of 64 KiB holds a stream to 64 KiB per round trip; ours is 8 MiB, shrunk
 * while many streams are open (`unread-bytes.ts`). The session window bounds nothing in Node, so it
 * is made large enough never to be in the way.
 */

import type { ClientSessionOptions, Http2Session, ServerOptions, Settings } from "node:http2";

/** 8 MiB in flight is 640 Mbit/s at 100 ms. */
export const STREAM_WINDOW_BYTES = 8 * 1024 * 1024;
const SESSION_WINDOW_BYTES = 64 * 1024 * 1024;

/** Enough for 64 tunnels beside requests; a guest who needs more opens a second link. */
export const MAX_STREAMS = 256;

export const settings: Settings = {
  initialWindowSize: STREAM_WINDOW_BYTES,
  maxConcurrentStreams: MAX_STREAMS,
  /** Everything we send in headers is under 1 KiB. */
  maxHeaderListSize: 8 * 1024,
  /** Fewer, larger frames: one stream is about a fifth faster than with 16 KiB. */
  maxFrameSize: 64 * 1024,
  enablePush: false,
};

export const sessionOptions: ServerOptions & ClientSessionOptions = {
  settings,
  /** Node counts what it buffers for the peer against this, in MB; the default of 10 refuses streams under load. */
  maxSessionMemory: 64,
  maxHeaderListPairs: 64,
  /** Replies to pings and settings that the peer makes us queue. @see CVE-2019-9512 */
  maxOutstandingPings: 10,
  maxSendHeaderBlockLength: 16 * 1024,
};

/** Widens the session's window once the session is set up. */
export function widen(session: Http2Session): void {
  session.once("connect", () => session.setLocalWindowSize(SESSION_WINDOW_BYTES));
}
