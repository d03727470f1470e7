/**
 * Keeps a link from locking up when much goes both ways at once.
 *
 * Node's HTTP/2 session stops reading while a write of its own is under way. Two sessions that both write
 * more than the sockets between them hold then wait for each other for ever (two tunnels that send at
 * full speed over TLS on loopback stop within a second; only windows as small as the sockets' buffers
 * hide it). So while a link carries streams and nothing arrives, reading is switched on again. The
 * session itself copes: its flag stays set until the write is done, and nghttp2 bounds what a peer
 * can make it queue. A duplex of our own in between cures it as well, at half the throughput.
 */

import type { Duplex } from "node:stream";
import type { Clock, Scope } from "../base/index.ts";

/** A lock costs at most this much; the sockets between hold some megabytes, so it hardly shows in the throughput. */
const TICK_MS = 20;
/** While nothing arrives, each look is twice as long after the one before, up to this: a relay has a thousand idle streams. */
const LAST_TICK_MS = 1_280;

export interface Reading {
  readonly duplex: Duplex;
  bytesRead(): number;
  isBusy(): boolean;
}

/** To be called when a stream opens: watches until the link has none. */
export function keepReading(link: Reading, clock: Clock, scope: Scope): () => void {
  let watching = false;
  const watch = async (signal: AbortSignal) => {
    let before = -1;
    let tickMs = TICK_MS;
    while (link.isBusy()) {
      await clock.sleep(tickMs, signal);
      const now = link.bytesRead();
      tickMs = now === before ? Math.min(LAST_TICK_MS, 2 * tickMs) : TICK_MS;
      if (now === before && !link.duplex.destroyed) startReading(link.duplex);
      before = now;
    }
    watching = false;
  };
  return () => {
    if (watching || scope.signal.aborted) return;
    watching = true;
    scope.spawn(watch);
  };
}

/** A socket's `resume()` believes that it reads already: the session stopped the handle below it. */
function startReading(duplex: Duplex & { readonly _handle?: { readStart?(): number } | null }): void {
  if (duplex._handle?.readStart !== undefined) duplex._handle.readStart();
  else duplex.resume();
}
