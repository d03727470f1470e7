/** Answers guests about their own sandboxes, and nobody about another's: that one is not there. */

import { TypeBoxValidatorCompiler } from "@fastify/type-provider-typebox";
import type { FastifyInstance, FastifyPluginAsync } from "fastify";
import type { Log } from "../base/index.ts";
import { admits, type Caller, PROGRESS_TYPE, progressLines } from "../core/index.ts";
import {
  type CreateProgress,
  CreateRequest,
  ExtendRequest,
  LogsQuery,
  Offer,
  PublishedPort,
  PublishParams,
  PublishRequest,
  Sandbox,
  SandboxesReply,
  SandboxParams,
  Stats,
} from "./contract.ts";
import type { Guest } from "./lease/house.ts";
import { freeFor } from "./lease/house.ts";
import { type Lease, shown } from "./lease/lease.ts";
import type { Publications } from "./lease/publish.ts";
import type { Sandboxes } from "./lease/sandboxes.ts";
import { type Streams, unknownSandbox } from "./lease/streams.ts";
import { type GpuDevice, profiles, type Runtime } from "./runtime/runtime.ts";
import type { SandboxId } from "./runtime/sandbox-id.ts";

export interface SandboxRoutesDeps {
  readonly sandboxes: Sandboxes;
  readonly streams: Streams;
  readonly publications: Publications;
  readonly runtime: Runtime;
  readonly gpus: (signal: AbortSignal) => Promise<readonly GpuDevice[]>;
  /** @throws {Failure} not-allowed */
  readonly guestOf: (caller: Caller) => Guest;
  /** Resolves when it is known what the runtime can do. */
  readonly ready: () => Promise<void>;
  readonly log: Log;
}

const config = { admits: admits.guests };
const params = SandboxParams;
/** A command of many words; a guest may send 256 of these at once. */
const CREATE_BODY = 128 * 1024;
const SMALL_BODY = 256;

export function serveSandboxes(deps: SandboxRoutesDeps): FastifyPluginAsync {
  return async (app) => {
    serveLogs(app, deps);
    serveUnpublishing(app, deps);
    await app.register(async (strict) => {
      // The default one turns `null` into 0 and drops what it does not know; limits must be what was said.
      strict.setValidatorCompiler(TypeBoxValidatorCompiler);
      serveMaking(strict, deps);
      serveLooking(strict, deps);
      servePublishing(strict, deps);
    });
  };
}

function serveMaking(app: FastifyInstance, deps: SandboxRoutesDeps): void {
  const { sandboxes, guestOf, log } = deps;
  const show = shower(deps);
  const onDefect = (error: unknown) => log.error("making a sandbox failed", { error });

  app.post<{ Body: CreateRequest }>(
    "/v1/sandboxes",
    { config, bodyLimit: CREATE_BODY, schema: { body: CreateRequest } },
    (request, reply) => {
      const guest = guestOf(request.caller);
      const lines = progressLines<CreateProgress, Sandbox>(
        async (note, signal) => show(await sandboxes.create(guest, { request: request.body, note }, signal)),
        { onDefect },
      );
      return reply.type(PROGRESS_TYPE).send(lines);
    },
  );

  app.delete<{ Params: SandboxParams }>(
    "/v1/sandboxes/:id",
    { config, schema: { params, response: { 200: Sandbox } } },
    async (request) => {
      const lease = mine(sandboxes, guestOf(request.caller), request.params.id);
      await sandboxes.remove(lease.id, "its guest removed it", request.signal);
      return show({ ...lease, state: "removing" });
    },
  );

  app.post<{ Params: SandboxParams; Body: ExtendRequest }>(
    "/v1/sandboxes/:id/extend",
    { config, bodyLimit: SMALL_BODY, schema: { params, body: ExtendRequest, response: { 200: Sandbox } } },
    (request) => {
      const guest = guestOf(request.caller);
      return show(sandboxes.extend(mine(sandboxes, guest, request.params.id), guest, request.body.lifetimeMs));
    },
  );
}

function serveLooking(app: FastifyInstance, deps: SandboxRoutesDeps): void {
  const { sandboxes, streams, runtime, gpus, guestOf, ready } = deps;
  const { book } = sandboxes;
  const show = shower(deps);

  app.get("/v1/sandboxes", { config, schema: { response: { 200: SandboxesReply } } }, (request) => ({
    sandboxes: book.of(guestOf(request.caller).id).map(show),
  }));

  app.get<{ Params: SandboxParams }>(
    "/v1/sandboxes/:id",
    { config, schema: { params, response: { 200: Sandbox } } },
    (request) => show(mine(sandboxes, guestOf(request.caller), request.params.id)),
  );

  app.get<{ Params: SandboxParams }>(
    "/v1/sandboxes/:id/stats",
    { config, schema: { params, response: { 200: Stats } } },
    async (request): Promise<Stats> => {
      const { id, used } = mine(sandboxes, guestOf(request.caller), request.params.id);
      const stats = await runtime.stats(id, request.signal);
      return { id, ...stats, linkBytes: used.linkBytes + streams.bytes(id) };
    },
  );

  app.get("/v1/offer", { config, schema: { response: { 200: Offer } } }, async (request): Promise<Offer> => {
    const guest = guestOf(request.caller);
    sandboxes.refuseNew(guest);
    await ready();
    const { facts } = runtime;
    const all = await gpus(request.signal);
    const held = new Set(book.all.flatMap((lease) => lease.gpus.map(({ uuid }) => uuid)));
    return {
      runtime: facts.kind,
      profiles: [...(facts.profiles ?? profiles)],
      images: facts.images,
      allowedImages: guest.grant.kind === "own" ? ["*"] : [...(sandboxes.limits.images ?? ["*"])],
      free: freeFor(guest, sandboxes.house([], { guest: guest.id })),
      gpus: all
        .filter(({ uuid }) => !held.has(uuid))
        .map(({ index, model, memoryBytes }) => ({ index, model, memoryBytes })),
      problems: [...facts.problems],
    };
  });
}

function servePublishing(app: FastifyInstance, { sandboxes, publications, guestOf }: SandboxRoutesDeps): void {
  app.post<{ Params: SandboxParams; Body: PublishRequest }>(
    "/v1/sandboxes/:id/publish",
    {
      config,
      bodyLimit: SMALL_BODY,
      schema: { params, body: PublishRequest, response: { 200: PublishedPort } },
    },
    (request) => {
      const guest = guestOf(request.caller);
      return publications.publish(
        mine(sandboxes, guest, request.params.id),
        { guest, wish: request.body },
        request.signal,
      );
    },
  );
}

/** A number in a path is a word until it is made a number: with the compiler that does. */
function serveUnpublishing(app: FastifyInstance, deps: SandboxRoutesDeps): void {
  const { sandboxes, publications, guestOf } = deps;
  app.delete<{ Params: PublishParams }>(
    "/v1/sandboxes/:id/publish/:port",
    { config, schema: { params: PublishParams, response: { 200: Sandbox } } },
    async (request) => {
      const lease = mine(sandboxes, guestOf(request.caller), request.params.id);
      await publications.unpublish(lease.id, request.params.port);
      return shower(deps)(lease);
    },
  );
}

function serveLogs(app: FastifyInstance, { sandboxes, runtime, guestOf }: SandboxRoutesDeps): void {
  app.get<{ Params: SandboxParams; Querystring: LogsQuery }>(
    "/v1/sandboxes/:id/logs",
    { config, schema: { params, querystring: LogsQuery } },
    async (request, reply) => {
      const { id } = mine(sandboxes, guestOf(request.caller), request.params.id);
      const log = await runtime.logs(id, request.query, request.signal);
      // Fastify alone would end the answer as if the log had ended.
      log.once("error", (error) => reply.raw.destroy(error));
      return reply.type("application/octet-stream").send(log);
    },
  );
}

function shower({ sandboxes, runtime, publications }: SandboxRoutesDeps): (lease: Lease) => Sandbox {
  return (lease) => publications.shown(shown(lease, runtime.facts.kind, sandboxes.book.leftMs(lease)));
}

/** @throws {Failure} not-found */
function mine({ book }: Sandboxes, guest: Guest, id: SandboxId): Lease {
  const lease = book.get(id);
  if (lease === undefined || lease.guest !== guest.id) throw unknownSandbox(id);
  return lease;
}
