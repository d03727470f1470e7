/**
 * The one application that answers on every carrier and on the local socket.
 *
 * It has no listener: carriers hand their requests to `handle`. Failures become their status and
 * `{error:{code,message,hint}}`; a defect becomes 500 and a line in the log, never a stack for a stranger.
 */

import swagger from "@fastify/swagger";
import Fastify, {
  LogController,
  type FastifyBaseLogger,
  type FastifyError,
  type FastifyInstance,
  type FastifyPluginAsync,
  type FastifyReply,
  type FastifyRequest,
} from "fastify";
import { type GuardDeps, guardRoutes, nothingHere, type RouteRow } from "../access/index.ts";
import type { Log } from "../base/index.ts";
import { Failure, failureReply, failures, VERSION } from "../core/index.ts";
import type { RawRequest, RawResponse, Requests } from "../network/index.ts";
import type { Metrics } from "./metrics.ts";

export interface AppDeps {
  readonly log: Log;
  readonly metrics: Metrics;
  readonly guard: GuardDeps;
  readonly plugins: readonly FastifyPluginAsync[];
}

/** What a body may have where its route does not say otherwise. */
const BODY_LIMIT = 64 * 1024;

export interface App {
  readonly app: FastifyInstance;
  readonly routes: readonly RouteRow[];
}

/** @throws when a route does not say whom it admits */
export async function buildApp({ log, metrics, guard, plugins }: AppDeps): Promise<App> {
  const app: FastifyInstance = Fastify({
    bodyLimit: BODY_LIMIT,
    forceCloseConnections: true,
    loggerInstance: fastifyLogger(log),
    logController: new LogController({ disableRequestLogging: true }),
    routerOptions: { maxParamLength: 300, ignoreTrailingSlash: true },
    ajv: { customOptions: { coerceTypes: "array", removeAdditional: false, useDefaults: true } },
  });
  app.setErrorHandler((error: FastifyError | Failure, request, reply) => {
    const failure = asFailure(error);
    // Who leaves in the middle of an answer ends it with errors of all kinds, and no defect.
    if (failure === undefined && !request.signal.aborted)
      log.error("answering failed", { route: request.routeOptions.url, error });
    void reply.code(failure === undefined ? 500 : failures[failure.code].status).send(failureReply(failure ?? error));
  });
  app.setNotFoundHandler((_request, reply) => {
    void reply.code(404).send(failureReply(nothingHere()));
  });
  app.addHook("onRequest", (request, reply, done) => {
    endWithAnswer(request, reply);
    done();
  });
  app.addHook("onResponse", (request, reply, done) => {
    metrics.answered({
      route: request.routeOptions.url ?? "none",
      role: request.role ?? "none",
      status: reply.statusCode,
    });
    done();
  });
  await app.register(swagger, { openapi: { openapi: "3.1.0", info: { title: "P2PRC", version: VERSION } } });
  const routes = guardRoutes(app, guard);
  for (const plugin of plugins) await app.register(plugin);
  await app.ready();
  return { app, routes: routes() };
}

/**
 * Fastify's own `request.signal` aborts when the body has been read (it follows "close" of the incoming
 * message, which Node emits then); this one aborts when the asker leaves before he has his answer.
 */
function endWithAnswer(request: FastifyRequest, reply: FastifyReply): void {
  const gone = new AbortController();
  reply.raw.once("close", () => {
    // Not writableFinished: an HTTP/2 response that was cut off says that it has finished.
    if (!reply.raw.writableEnded) gone.abort(new Failure("link-lost", "whoever asked has left"));
  });
  Object.defineProperty(request, "signal", { value: gone.signal });
}

/** Hands raw requests of any HTTP version to the application. */
export function handlerOf(app: FastifyInstance): Requests {
  return (request: RawRequest, response: RawResponse) => {
    // Fastify's types speak of HTTP/1.1; its router takes HTTP/2's compatible objects as they are.
    app.routing(request as Parameters<typeof app.routing>[0], response as Parameters<typeof app.routing>[1]);
  };
}

/** Fastify's own complaints about a request are the caller's to mend. */
function asFailure(error: FastifyError | Failure): Failure | undefined {
  if (error instanceof Failure) return error;
  if (error.validation !== undefined)
    return new Failure("bad-argument", `the request is not as agreed: ${error.message}`);
  if (error.statusCode === 413) return new Failure("too-large", "the body of the request is too large");
  if (error.statusCode !== undefined && error.statusCode < 500) return new Failure("bad-argument", error.message);
  return undefined;
}

/** What Fastify itself has to say: defects only, its debugging talk is dropped. */
function fastifyLogger(log: Log): FastifyBaseLogger {
  const quiet = () => {};
  const say =
    (write: (message: string, facts?: Readonly<Record<string, unknown>>) => void) =>
    (first: unknown, message?: string) =>
      write("fastify reports", { message, detail: first });
  const logger = {
    level: "warn",
    trace: quiet,
    debug: quiet,
    info: quiet,
    silent: quiet,
    warn: say((message, facts) => log.warn(message, facts)),
    error: say((message, facts) => log.error(message, facts)),
    fatal: say((message, facts) => log.error(message, facts)),
    child: () => logger,
  };
  return logger as FastifyBaseLogger;
}
