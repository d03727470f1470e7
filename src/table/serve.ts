/** Answers nodes that ask for the table, and the person who looks at it, walks the network and names nodes. */

import type { FastifyInstance, FastifyPluginAsync, FastifyRequest } from "fastify";
import { type Clock, type Log, TokenBuckets } from "../base/index.ts";
import {
  admits,
  byRank,
  Failure,
  PROGRESS_TYPE,
  parseEndpoint,
  progressLines,
  remoteGroup,
  type SignedRecord,
} from "../core/index.ts";
import { answerTable, hearAnnouncement } from "./answer.ts";
import {
  AddRequest,
  IdentifyReply,
  IdentifyRequest,
  MAX_QUESTION_BYTES,
  NodeParams,
  NodeRow,
  NodesQuery,
  NodesReply,
  RemoveReply,
  RenameRequest,
  TableQuestion,
  TableReply,
  type UpdateProgress,
  UpdateRequest,
  type UpdateResult,
} from "./contract.ts";
import type { IpTable } from "./ip-table.ts";
import { nameOf } from "./view.ts";

export interface ServeTableDeps {
  readonly table: IpTable;
  readonly clock: Clock;
  readonly log: Log;
}

/** A node asks every half minute, and in a walk for every page of 250 rows: 40 at once is a whole table. */
const PER_ASKER = { burst: 40, everyMs: 2_000 };
/** Keys are free: one machine with many of them has as much as a few. */
const PER_ADDRESS = { burst: 400, everyMs: 200 };
const SMALL_BODY = 1024;

export function serveTable(deps: ServeTableDeps): FastifyPluginAsync {
  return async (app) => {
    serveNodes(app, deps);
    servePerson(app, deps);
    servePersonsChanges(app, deps);
  };
}

function serveNodes(app: FastifyInstance, { table, clock }: ServeTableDeps): void {
  const askers = new TokenBuckets(clock, PER_ASKER);
  const addresses = new TokenBuckets(clock, PER_ADDRESS);
  app.post<{ Body: TableQuestion }>(
    "/v1/table",
    {
      config: { admits: admits.nodes },
      bodyLimit: MAX_QUESTION_BYTES,
      schema: { body: TableQuestion, response: { 200: TableReply } },
    },
    async ({ caller, body }) => {
      let yours: SignedRecord | undefined;
      if (caller.kind === "node") {
        if (!askers.take(caller.id) || !addresses.take(remoteGroup(caller.remote))) throw tooOften();
        table.nodes.noteAnswer(caller.id);
        if (body.record !== undefined) yours = hearAnnouncement(table.nodes, body.record, { by: caller.id });
      }
      return answerTable({ table: table.nodes, self: table.self }, body, yours);
    },
  );
}

function servePerson(app: FastifyInstance, { table, log }: ServeTableDeps): void {
  const config = { admits: admits.owner };
  const params = NodeParams;

  app.get<{ Querystring: NodesQuery }>(
    "/v1/nodes",
    { config, schema: { querystring: NodesQuery, response: { 200: NodesReply } } },
    async ({ query }) => {
      const rows = table.rows(query.all === true ? "all" : "joined").sort(byRank);
      return { nodes: rows, strangers: query.all === true ? 0 : table.nodes.rows.size - rows.length };
    },
  );

  app.get<{ Params: NodeParams }>(
    "/v1/nodes/:node",
    { config, schema: { params, response: { 200: NodeRow } } },
    async (request) => table.view(table.find(request.params.node)),
  );

  app.post<{ Body: UpdateRequest }>(
    "/v1/nodes/update",
    { config, bodyLimit: SMALL_BODY, schema: { body: UpdateRequest } },
    (request, reply) => {
      const { hops } = request.body;
      const lines = progressLines<UpdateProgress, UpdateResult>(
        (note, signal) => table.walk({ note, ...(hops === undefined ? {} : { hops }) }, signal),
        { onDefect: (error) => log.error("the walk over the network failed", { error }) },
      );
      return reply.type(PROGRESS_TYPE).send(lines);
    },
  );
}

function servePersonsChanges(app: FastifyInstance, { table }: ServeTableDeps): void {
  const config = { admits: admits.owner };
  const params = NodeParams;

  app.post<{ Body: IdentifyRequest }>(
    "/v1/nodes/identify",
    { config, bodyLimit: SMALL_BODY, schema: { body: IdentifyRequest, response: { 200: IdentifyReply } } },
    (request) => table.identify(parseEndpoint(request.body.address), request.signal),
  );

  app.post<{ Body: AddRequest }>(
    "/v1/nodes",
    { config, bodyLimit: SMALL_BODY, schema: { body: AddRequest, response: { 200: NodeRow } } },
    (request) => {
      const { id, address } = request.body;
      return table.add({ id, endpoint: parseEndpoint(address) }, request.signal);
    },
  );

  app.patch<{ Params: NodeParams; Body: RenameRequest }>(
    "/v1/nodes/:node",
    { config, bodyLimit: SMALL_BODY, schema: { params, body: RenameRequest, response: { 200: NodeRow } } },
    async (request) => {
      const row = table.find(request.params.node);
      if (row.relation === undefined) {
        throw new Failure("not-allowed", `"${nameOf(row)}" is a stranger: only joined nodes have a name here`, {
          hint: "join it first: `p2prc join INVITE` or `p2prc add ADDRESS`",
        });
      }
      table.rename(row, request.body.name);
      return table.view(row);
    },
  );

  app.delete<{ Params: NodeParams }>(
    "/v1/nodes/:node",
    { config, schema: { params, response: { 200: RemoveReply } } },
    async (request: FastifyRequest<{ Params: NodeParams }>) => {
      const row = table.find(request.params.node);
      table.remove(row);
      return { id: row.id, name: nameOf(row) };
    },
  );
}

function tooOften(): Failure {
  return new Failure("too-often", "this node was asked for its table too often", {
    hint: "ask again in a few seconds",
  });
}
