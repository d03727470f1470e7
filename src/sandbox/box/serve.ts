/** Answers the person about the sandboxes that they hold elsewhere. */

import { TypeBoxValidatorCompiler } from "@fastify/type-provider-typebox";
import type { FastifyInstance, FastifyPluginAsync } from "fastify";
import type { Log } from "../../base/index.ts";
import { admits, PROGRESS_TYPE, progressLines } from "../../core/index.ts";
import {
  Box,
  BoxesQuery,
  BoxesReply,
  BoxParams,
  type BoxProgress,
  ExtendRequest,
  LogsQuery,
  Offer,
  OfferParams,
  RemoveBoxReply,
  Stats,
  TouchRequest,
} from "../contract.ts";
import type { Boxes } from "./boxes.ts";

export interface BoxRoutesDeps {
  readonly boxes: Boxes;
  readonly log: Log;
}

/** A command of 256 words of 4 KiB is the largest thing that a touch may hold. */
const TOUCH_BODY = 2 * 1024 ** 2;
const SMALL_BODY = 1_024;
const config = { admits: admits.owner };

export function serveBoxes(deps: BoxRoutesDeps): FastifyPluginAsync {
  return async (app) => {
    serveQueries(app, deps); // with the compiler that makes values of a query's words
    await app.register(async (strict) => {
      strict.setValidatorCompiler(TypeBoxValidatorCompiler);
      serveTouch(strict, deps);
      serveRest(strict, deps);
    });
  };
}

function serveTouch(app: FastifyInstance, { boxes, log }: BoxRoutesDeps): void {
  app.post<{ Body: TouchRequest }>(
    "/v1/boxes",
    { config, bodyLimit: TOUCH_BODY, schema: { body: TouchRequest } },
    (request, reply) => {
      const lines = progressLines<BoxProgress, Box>((note, signal) => boxes.touch(request.body, note, signal), {
        onDefect: (error) => log.error("starting a sandbox failed", { error }),
      });
      return reply.type(PROGRESS_TYPE).send(lines);
    },
  );
}

function serveRest(app: FastifyInstance, { boxes }: BoxRoutesDeps): void {
  const params = BoxParams;
  app.get<{ Params: BoxParams }>("/v1/boxes/:box", { config, schema: { params, response: { 200: Box } } }, (request) =>
    boxes.show(request.params.box, request.signal),
  );
  app.delete<{ Params: BoxParams }>(
    "/v1/boxes/:box",
    { config, schema: { params, response: { 200: RemoveBoxReply } } },
    (request) => boxes.remove(request.params.box, request.signal),
  );
  app.post<{ Params: BoxParams; Body: ExtendRequest }>(
    "/v1/boxes/:box/extend",
    { config, bodyLimit: SMALL_BODY, schema: { params, body: ExtendRequest, response: { 200: Box } } },
    (request) => boxes.extend(request.params.box, request.body.lifetimeMs, request.signal),
  );
  app.get<{ Params: BoxParams }>(
    "/v1/boxes/:box/stats",
    { config, schema: { params, response: { 200: Stats } } },
    (request) => boxes.stats(request.params.box, request.signal),
  );
}

function serveQueries(app: FastifyInstance, { boxes }: BoxRoutesDeps): void {
  app.get<{ Querystring: BoxesQuery }>(
    "/v1/boxes",
    { config, schema: { querystring: BoxesQuery, response: { 200: BoxesReply } } },
    async (request) => ({ boxes: [...(request.query.ask ? await boxes.list(request.signal) : boxes.known)] }),
  );
  app.get<{ Params: OfferParams }>(
    "/v1/nodes/:node/offer",
    { config, schema: { params: OfferParams, response: { 200: Offer } } },
    (request) => boxes.offerOf(request.params.node, request.signal),
  );
  // Bytes as the command in the sandbox wrote them.
  app.get<{ Params: BoxParams; Querystring: LogsQuery }>(
    "/v1/boxes/:box/logs",
    { config, schema: { params: BoxParams, querystring: LogsQuery } },
    async (request, reply) => {
      const body = await boxes.logs(request.params.box, request.query, request.signal);
      reply.raw.once("close", () => body.destroy()); // the reader has left: nobody follows any more
      return reply.type("application/octet-stream").send(body);
    },
  );
}
