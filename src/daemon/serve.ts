/** What the daemon answers about itself: to everybody who it is, to its own person all the rest. */

import { Readable } from "node:stream";
import type {} from "@fastify/swagger"; // adds app.swagger()
import type { FastifyPluginAsync } from "fastify";
import { admits, isNodeId, type NodeId, shortNodeId } from "../core/index.ts";
import type { Dialable } from "../network/index.ts";
import {
  LendReply,
  LendRequest,
  LogsQuery,
  NodeDescription,
  NodeQuery,
  Status,
  StopReply,
  Why,
  WhyParams,
} from "./contract.ts";
import type { LogFile } from "./log-file.ts";
import type { Metrics } from "./metrics.ts";
import { type WhyDeps, whyOf } from "./why.ts";

export interface DaemonRoutesDeps {
  readonly describe: () => NodeDescription;
  /** A node says which start of its daemon this is. */
  readonly met: (who: { readonly id: NodeId; readonly remote: string }, boot: string) => void;
  readonly status: () => Status;
  /** @throws {Failure} port-in-use, bad-address */
  readonly lend: (on: boolean, signal: AbortSignal) => Promise<boolean>;
  readonly stop: () => void;
  readonly log: LogFile;
  readonly metrics: Metrics;
  /** @throws {Failure} unknown-node, ambiguous */
  readonly resolve: (text: string) => Dialable & { readonly name: string };
  readonly why: WhyDeps;
}

const owner = { config: { admits: admits.owner } };

export function serveDaemon(deps: DaemonRoutesDeps): FastifyPluginAsync {
  return async (app) => {
    app.get<{ Querystring: NodeQuery }>(
      "/v1/node",
      { config: { admits: admits.everyone }, schema: { querystring: NodeQuery, response: { 200: NodeDescription } } },
      ({ caller, query: { boot } }) => {
        if (boot !== undefined && caller.kind === "node") deps.met(caller, boot);
        return deps.describe();
      },
    );

    app.get("/v1/status", { ...owner, schema: { response: { 200: Status } } }, () => deps.status());

    app.post<{ Body: LendRequest }>(
      "/v1/lend",
      { ...owner, bodyLimit: 256, schema: { body: LendRequest, response: { 200: LendReply } } },
      async (request) => ({ lends: await deps.lend(request.body.on, request.signal) }),
    );

    app.post("/v1/stop", { ...owner, schema: { response: { 200: StopReply } } }, (_request, reply) => {
      reply.raw.once("close", () => deps.stop()); // the answer goes out first
      return {};
    });

    app.get<{ Querystring: LogsQuery }>(
      "/v1/logs",
      { ...owner, schema: { querystring: LogsQuery } },
      async (request, reply) => {
        const { lines = 50, follow = false } = request.query;
        const tail = await deps.log.tail(lines);
        return reply.type("text/plain; charset=utf-8").send(logStream(tail, follow ? deps.log : undefined));
      },
    );

    app.get<{ Params: WhyParams }>(
      "/v1/nodes/:node/why",
      { ...owner, schema: { params: WhyParams, response: { 200: Why } } },
      (request) => {
        return whyOf(deps.why, whoWasTried(deps, request.params.node));
      },
    );

    app.get("/metrics", owner, async (_request, reply) =>
      reply.type(deps.metrics.contentType).send(await deps.metrics.text()),
    );
    app.get("/v1/openapi.json", owner, () => app.swagger());
  };
}

/** The tail, and what is written from now on. A reader that does not read misses lines. */
function logStream(tail: readonly string[], follow: LogFile | undefined): Readable {
  const stream = new Readable({ read: () => {} });
  const push = (line: string) => {
    if (stream.readableLength < 1_000_000) stream.push(`${line}\n`);
  };
  for (const line of tail) stream.push(`${line}\n`);
  if (follow === undefined) stream.push(null);
  else {
    const subscription = follow.lines.on(push);
    stream.once("close", () => subscription[Symbol.dispose]());
  }
  return stream;
}

/** One that an invite named may have been tried without being known: there its whole id will do. @throws {Failure} unknown-node, ambiguous */
function whoWasTried(
  { resolve, why }: Pick<DaemonRoutesDeps, "resolve" | "why">,
  text: string,
): Dialable & { readonly name: string } {
  try {
    return resolve(text);
  } catch (error) {
    const id = text.trim().toLowerCase();
    if (!isNodeId(id) || why.attempts(id).length === 0) throw error;
    return { id, name: shortNodeId(id), endpoints: [], via: [] };
  }
}
