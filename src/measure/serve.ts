/** Answers nodes that measure this one, and the person who measures others. */

import type { FastifyInstance, FastifyPluginAsync } from "fastify";
import type { Log } from "../base/index.ts";
import { admits, type NodeId, PROGRESS_TYPE, progressLines } from "../core/index.ts";
import type { Dialable, Reach } from "../network/index.ts";
import { askSpecs } from "./ask.ts";
import {
  NodeParams,
  type PingProgress,
  PingRequest,
  type PingResult,
  type SpeedProgress,
  type SpeedResult,
  Specs,
} from "./contract.ts";
import { ping, viaIn } from "./ping.ts";
import { type ServeTestsDeps, serveTests } from "./serve-tests.ts";
import type { SpeedTests } from "./speed-tests.ts";

export interface MeasureDeps extends ServeTestsDeps {
  /** @throws {Failure} unknown-node, ambiguous */
  readonly resolve: (text: string) => Dialable & { readonly name: string };
  readonly reach: Reach;
  /** What a node is called here: for relays. */
  readonly nameOf: (id: NodeId) => string;
  readonly specs: { latest(): Specs };
  readonly speedTests: SpeedTests;
  /** Told what a person's ping came to. */
  readonly noteRoundTrip: (id: NodeId, roundTrip: Pick<PingResult, "medianMs" | "jitterMs">) => void;
  readonly log: Log;
}

/** `{}` and `{"count":100}`. */
const SMALL_BODY = 256;

export function serveMeasure(deps: MeasureDeps): FastifyPluginAsync {
  return async (app) => {
    app.get("/v1/specs", { config: { admits: admits.guests }, schema: { response: { 200: Specs } } }, () =>
      deps.specs.latest(),
    );
    servePerson(app, deps);
    await app.register(serveTests(deps));
  };
}

function servePerson(app: FastifyInstance, deps: MeasureDeps): void {
  const { resolve, reach, nameOf, speedTests, clock, log } = deps;
  const onDefect = (error: unknown) => log.error("measuring a node failed", { error });
  const config = { admits: admits.owner };

  app.get<{ Params: NodeParams }>(
    "/v1/nodes/:node/specs",
    { config, schema: { params: NodeParams, response: { 200: Specs } } },
    async (request) => {
      const link = await reach.link(resolve(request.params.node), request.signal);
      return await askSpecs(link, clock, request.signal);
    },
  );

  app.post<{ Params: NodeParams; Body: PingRequest }>(
    "/v1/nodes/:node/ping",
    { config, bodyLimit: SMALL_BODY, schema: { params: NodeParams, body: PingRequest } },
    (request, reply) => {
      const target = resolve(request.params.node);
      const { count } = request.body;
      const lines = progressLines<PingProgress, PingResult>(
        async (note, signal) => {
          const result = await ping({ reach, nameOf, clock }, { target, count, note }, signal);
          deps.noteRoundTrip(result.id, result);
          return result;
        },
        { onDefect },
      );
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
          const speed = await speedTests.run(link, { note }, signal);
          return { id: target.id, name, ...viaIn(link.path, nameOf), ...speed };
        },
        { onDefect },
      );
      return reply.type(PROGRESS_TYPE).send(lines);
    },
  );
}
