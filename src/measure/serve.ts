/**
 * Answers nodes that measure this one, and the person who measures others.
 *
 * Payload is generated as the link takes it and counted as it comes: none of it is ever held.
 */

import type { Readable } from "node:stream";
import type { FastifyInstance, FastifyPluginAsync, FastifyReply, FastifyRequest } from "fastify";
import { type Clock, type Log, Scope } from "../base/index.ts";
import { admits, Failure, type NodeId, PROGRESS_TYPE, progressLines } from "../core/index.ts";
import type { Dialable, Reach } from "../network/index.ts";
import { askSpecs } from "./ask.ts";
import {
  Counted,
  DownloadQuery,
  MAX_TEST_MS,
  NodeParams,
  type PingProgress,
  PingRequest,
  type PingResult,
  type SpeedProgress,
  type SpeedResult,
  Specs,
  UploadQuery,
} from "./contract.ts";
import { bytesPerSecond, meter } from "./meter.ts";
import { Payload } from "./payload.ts";
import { ping } from "./ping.ts";
import { knownLimits, Ration, strangerLimits } from "./ration.ts";
import type { SpeedNote, SpeedTests } from "./speed-tests.ts";
import { Turns } from "./turns.ts";

export interface MeasureDeps {
  /** @throws {Failure} unknown-node, ambiguous */
  readonly resolve: (text: string) => Dialable & { readonly name: string };
  readonly reach: Reach;
  readonly specs: { latest(): Specs };
  readonly speedTests: SpeedTests;
  readonly isFriend: (id: NodeId) => boolean;
  /** What a test that another node asked for told of that node. */
  readonly note: (id: NodeId, speed: SpeedNote) => void;
  readonly clock: Clock;
  readonly log: Log;
}

/** `{}` and `{"count":100}`. */
const SMALL_BODY = 256;
/** For what is already on the way when the time is over. */
const GRACE_MS = 2_000;

export function serveMeasure(deps: MeasureDeps): FastifyPluginAsync {
  return async (app) => {
    app.get("/v1/specs", { config: { admits: admits.guests }, schema: { response: { 200: Specs } } }, () => deps.specs.latest());
    servePerson(app, deps);
    await app.register(serveTests(deps));
  };
}

function servePerson(app: FastifyInstance, deps: MeasureDeps): void {
  const { resolve, reach, speedTests, clock, log } = deps;
  const onDefect = (error: unknown) => log.error("measuring a node failed", { error });
  const config = { admits: admits.owner };

  app.get<{ Params: NodeParams }>("/v1/nodes/:node/specs", { config, schema: { params: NodeParams, response: { 200: Specs } } }, async (request) => {
    const link = await reach.link(resolve(request.params.node), request.signal);
    return await askSpecs(link, clock, request.signal);
  });

  app.post<{ Params: NodeParams; Body: PingRequest }>(
    "/v1/nodes/:node/ping",
    { config, bodyLimit: SMALL_BODY, schema: { params: NodeParams, body: PingRequest } },
    (request, reply) => {
      const target = resolve(request.params.node);
      const { count } = request.body;
      const lines = progressLines<PingProgress, PingResult>((note, signal) => ping({ reach, clock }, { target, count, note }, signal), { onDefect });
      return reply.type(PROGRESS_TYPE).send(lines);
    },
  );

  app.post<{ Params: NodeParams }>(
    "/v1/nodes/:node/speed",
    { config, bodyLimit: SMALL_BODY, schema: { params: NodeParams } },
    (request, reply) => {
      const { name, ...target } = resolve(request.params.node);
      const lines = progressLines<SpeedProgress, SpeedResult>(
        async (note, signal) => {
          const link = await reach.link(target, signal);
          return { id: target.id, name, ...(await speedTests.run(link, { note }, signal)) };
        },
        { onDefect },
      );
      return reply.type(PROGRESS_TYPE).send(lines);
    },
  );
}

function serveTests({ clock, isFriend, note }: MeasureDeps): FastifyPluginAsync {
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

    app.get<{ Querystring: DownloadQuery }>("/v1/speed/download", { config, schema: { querystring: DownloadQuery } }, (request, reply) => {
      const { maxBytes, maxMs } = request.query;
      const turn = turns.begin("download", keyOf(request), rationOf(request));
      const payload = new Payload({ clock, maxMs, maxBytes: Math.min(maxBytes, turn.maxBytes) });
      payload.once("close", () => turn.end(payload.sent));
      scope.spawn((signal) => cutOffLate(payload, { clock, afterMs: maxMs + GRACE_MS }, signal));
      return reply.type("application/octet-stream").send(payload);
    });

    app.post<{ Querystring: UploadQuery }>("/v1/speed/upload", { config, schema: { querystring: UploadQuery, response: { 200: Counted } } }, async (request, reply) => {
      const turn = turns.begin("upload", keyOf(request), rationOf(request));
      endUnread(request, reply);
      let moved: Counted = { bytes: 0, ms: 0 };
      const options = { clock, maxBytes: turn.maxBytes, maxMs: MAX_TEST_MS, note: (counted: Counted) => void (moved = counted) };
      try {
        moved = await meter(uploadOf(request), options, scope.signal);
      } finally {
        turn.end(moved);
      }
      const { caller } = request;
      if (caller.kind === "node") note(caller.id, learnt(moved, turn.downloaded, request.query, clock));
      return moved;
    });
  };
}

/** A test tells this node as much as the one that asked for it: what came in was counted here; what went out the asker tells, within reason. */
function learnt(uploaded: Counted, downloaded: Counted | undefined, claim: UploadQuery, clock: Clock): SpeedNote {
  const downBytesPerSecond = bytesPerSecond(uploaded);
  const at = clock.wallTime();
  if (downloaded === undefined || claim.bytes === undefined || claim.ms === undefined) return { downBytesPerSecond, at };
  const upBytesPerSecond = bytesPerSecond({
    bytes: Math.min(claim.bytes, downloaded.bytes),
    ms: Math.max(claim.ms, downloaded.ms),
  });
  return { downBytesPerSecond, upBytesPerSecond, at };
}

/** A reader that stops reading must not hold the turn. */
async function cutOffLate(payload: Payload, { clock, afterMs }: { readonly clock: Clock; readonly afterMs: number }, signal: AbortSignal): Promise<void> {
  await using wait = new Scope(signal);
  wait.defer(() => void payload.destroy());
  const closed = new Promise<void>((resolve) => payload.once("close", () => resolve()));
  await Promise.race([closed, clock.sleep(afterMs, wait.signal)]);
}

/** When the answer is out, what still comes is not waited for. */
function endUnread(request: FastifyRequest, reply: FastifyReply): void {
  reply.raw.once("finish", () => {
    request.raw.on("error", () => undefined);
    request.raw.destroy();
  });
}

function uploadOf({ body }: FastifyRequest): Readable {
  if (body === undefined || body === null) throw new Failure("bad-argument", "an upload has a body of octets");
  return body as Readable;
}

function keyOf({ caller }: FastifyRequest): string {
  return caller.kind === "node" ? caller.id : caller.kind;
}
