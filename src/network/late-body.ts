/**
 * Ends requests whose body does not come.
 *
 * A body that is announced and then trickles would keep its stream, its link and the link's place open
 * for ever. So it must move: a small one is here within one window, and a large one brings as much in each.
 */

import { constants, type ServerHttp2Stream } from "node:http2";
import { type Clock, Scope } from "../base/index.ts";

const WINDOW_MS = 30_000;
/** 9 kbit/s: the slowest line that anybody lends or uses a machine over is quicker. */
const LEAST_BYTES = 32 * 1024;

/** Watches until the body is whole or the stream closes. */
export function endLateBody(stream: ServerHttp2Stream, clock: Clock, parent: AbortSignal): void {
  let arrived = 0;
  const push = stream.push.bind(stream);
  stream.push = (chunk: Buffer | null, ...rest) => {
    arrived += chunk?.length ?? 0;
    return push(chunk, ...rest);
  };
  const life = new Scope(parent);
  stream.once("close", () => void life.close());
  life.spawn(async (signal) => {
    for (let before = -LEAST_BYTES; !isWhole(stream); ) {
      if (isStuck(stream, arrived - before)) stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
      before = arrived;
      await clock.sleep(WINDOW_MS, signal);
    }
  });
}

/** What is here and unread waits for this node, not for the sender; once the answer is given nobody reads it any more. */
function isStuck(stream: ServerHttp2Stream, bytes: number): boolean {
  return bytes < LEAST_BYTES && (stream.readableLength === 0 || stream.writableEnded);
}

function isWhole({ destroyed, state }: ServerHttp2Stream): boolean {
  return destroyed || state.state === constants.NGHTTP2_STREAM_STATE_HALF_CLOSED_REMOTE;
}
