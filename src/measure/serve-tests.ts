/**
 * Serves the two halves of a speed test. Payload is generated as the link takes it and counted as it
 * comes: none of it is ever held.
 */

import { constants, Http2ServerRequest } from "node:http2";
import type { Readable } from "node:stream";
import type { FastifyPluginAsync, FastifyRequest } from "fastify";
import { type Clock, Scope } from "../base/index.ts";
import { admits, Failure, type NodeId } from "../core/index.ts";
import { Counted, DownloadQuery, MAX_TEST_MS, UploadQuery } from "./contract.ts";
import { bytesPerSecond, meter } from "./meter.ts";
import { Payload } from "./payload.ts";
import { knownLimits, Ration, strangerLimits } from "./ration.ts";
import type { SpeedNote } from "./speed-tests.ts";
import { Turns } from "./turns.ts";

export interface ServeTestsDeps {
  readonly isFriend: (id: NodeId) => boolean;
  /** What a test that another node asked for told of that node. */
  readonly note: (id: NodeId, speed: SpeedNote) => void;
  readonly clock: Clock;
}

/** For what is already on the way when the time is over. */
const GRACE_MS = 2_000;

export function serveTests({ clock, isFriend, note }: ServeTestsDeps): FastifyPluginAsync {
  const turns = new Turns(clock);
  const strangers = new Ration(clock, strangerLimits);
  const known = new Ration(clock, knownLimits);
  const rationOf = ({ caller, role }: FastifyRequest) =>
    role === "stranger" && caller.kind === "node" && !isFriend(caller.id) ? strangers : known;

  return async (app) => {
    const scope = new Scope();
    app.addHook("onClose", () => scope.close());
    // Whatever type it says it is, the body is only counted. A parser that takes the stream as it is has no limit but the meter's.
    app.removeAllContentTypeParsers();
    app.addContentTypeParser("*", (_request, payload, done) => done(null, payload));
    const config = { admits: admits.nodes };

    app.get<{ Querystring: DownloadQuery }>(
      "/v1/speed/download",
      { config, exposeHeadRoute: false, schema: { querystring: DownloadQuery } },
      (request, reply) => {
        const { maxBytes, maxMs } = request.query;
        const turn = turns.begin("download", keyOf(request), rationOf(request));
        const payload = new Payload({ clock, maxMs, maxBytes: Math.min(maxBytes, turn.maxBytes) });
        payload.once("close", () => turn.end(payload.sent));
        scope.spawn((signal) => cutOffLate(payload, { clock, afterMs: maxMs + GRACE_MS }, signal));
        return reply.type("application/octet-stream").send(payload);
      },
    );

    app.post<{ Querystring: UploadQuery }>(
      "/v1/speed/upload",
      { config, schema: { querystring: UploadQuery, response: { 200: Counted } } },
      async (request) => {
        try {
          return await receive(request);
        } finally {
          scope.spawn((signal) => cutOffUnread(request, clock, signal));
        }
      },
    );

    const receive = async (request: FastifyRequest<{ Querystring: UploadQuery }>): Promise<Counted> => {
      const turn = turns.begin("upload", keyOf(request), rationOf(request));
      let moved: Counted = { bytes: 0, ms: 0 };
      const tell = (counted: Counted) => {
        moved = counted;
      };
      const options = { clock, maxBytes: turn.maxBytes, maxMs: MAX_TEST_MS, note: tell };
      try {
        moved = await meter(uploadOf(request), options, scope.signal);
      } finally {
        turn.end(moved);
      }
      const { caller } = request;
      if (caller.kind === "node") {
        const speed = learnt({ uploaded: moved, downloaded: turn.downloaded, claim: request.query });
        note(caller.id, { ...speed, at: clock.wallTime() });
      }
      return moved;
    };
  };
}

interface Learnt {
  /** Counted here. */
  readonly uploaded: Counted;
  /** Handed over here, where the asker downloaded before. */
  readonly downloaded: Counted | undefined;
  /** What the asker says came of that. */
  readonly claim: UploadQuery;
}

/** A test tells this node as much as the one that asked for it. The asker's word counts within reason: not more than was sent, nor faster. */
function learnt({ uploaded, downloaded, claim }: Learnt): Omit<SpeedNote, "at"> {
  const downBytesPerSecond = bytesPerSecond(uploaded);
  if (downloaded === undefined || claim.bytes === undefined || claim.ms === undefined) return { downBytesPerSecond };
  const bytes = Math.min(claim.bytes, downloaded.bytes);
  return { downBytesPerSecond, upBytesPerSecond: bytesPerSecond({ bytes, ms: Math.max(claim.ms, downloaded.ms) }) };
}

/** A reader that stops reading must not hold the turn. */
async function cutOffLate(
  payload: Payload,
  { clock, afterMs }: { readonly clock: Clock; readonly afterMs: number },
  signal: AbortSignal,
): Promise<void> {
  await using wait = new Scope(signal);
  wait.defer(() => void payload.destroy());
  const closed = new Promise<void>((resolve) => payload.once("close", () => resolve()));
  await Promise.race([closed, clock.sleep(afterMs, wait.signal)]);
}

/**
 * When the answer is out, what still comes is not waited for. The sender gets a moment to read the answer and to
 * stop by itself. Node's HTTP/2 ignores that a request is destroyed, so it is the stream below that is closed.
 */
async function cutOffUnread({ raw }: Pick<FastifyRequest, "raw">, clock: Clock, signal: AbortSignal): Promise<void> {
  await using wait = new Scope(signal);
  raw.on("error", () => undefined);
  wait.defer(() => {
    if (raw instanceof Http2ServerRequest) raw.stream.close(constants.NGHTTP2_NO_ERROR);
    else raw.destroy();
  });
  const closed = new Promise<void>((resolve) => raw.once("close", () => resolve()));
  await Promise.race([closed, clock.sleep(GRACE_MS, wait.signal)]);
}

function uploadOf({ body }: FastifyRequest): Readable {
  if (body === undefined || body === null) throw new Failure("bad-argument", "an upload has a body of octets");
  return body as Readable;
}

function keyOf({ caller }: FastifyRequest): string {
  return caller.kind === "node" ? caller.id : caller.kind;
}
