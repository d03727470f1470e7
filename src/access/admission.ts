/**
 * The one place that admits: requests and `CONNECT` streams both pass `decide`.
 *
 * A route or a kind of target without a rule is a defect that shows when the daemon starts. What only
 * the owner may use answers strangers as if it were not there: they learn nothing of what this node
 * could do for its owner, nor which version of it they met.
 */

import type { FastifyInstance, FastifyRequest } from "fastify";
import { type Caller, Failure, type Role, roles } from "../core/index.ts";

export type Rule = readonly Role[];

/** One kind of byte tunnel: `port` in `port:box/8080`. */
export interface ConnectTarget {
  readonly kind: string;
  readonly admits: Rule;
}

export interface RouteRow {
  readonly method: string;
  readonly path: string;
  readonly admits: Rule;
}

export interface GuardDeps {
  readonly callerOf: (request: FastifyRequest) => Caller;
  readonly roleOf: (caller: Caller) => Role;
}

/** Undefined: go on. Otherwise the answer. */
export function decide(rule: Rule, role: Role): Failure | undefined {
  if (rule.includes(role)) return undefined;
  if (rule.every((admitted) => admitted === "local")) return nothingHere();
  switch (role) {
    case "anonymous":
      return new Failure("not-allowed", "this takes a key, and you showed none", {
        hint: "use p2prc; a client without a key may read /v1/node and no more",
      });
    case "stranger":
      return new Failure("not-allowed", "this node does not lend to you", {
        hint: "ask its owner for an invite, and run `p2prc join` with it; one that you had may have ended",
      });
    default:
      return new Failure("not-allowed", "this is for the owner's own nodes", { hint: "ask the owner of that node" });
  }
}

/** What a path that does not exist answers, and what is not for the caller to know of. */
export function nothingHere(): Failure {
  return new Failure("not-found", "there is nothing here", { hint: "is the other node's p2prc as new as yours?" });
}

/**
 * The kind of a target, when `role` may have it.
 * @param target `<kind>:<rest>`
 * @throws {Failure} not-found, not-allowed
 */
export function admitConnect<T extends ConnectTarget>(
  targets: readonly T[],
  target: string,
  role: Role,
): { readonly row: T; readonly rest: string } {
  const colon = target.indexOf(":");
  const row = targets.find(({ kind }) => kind === target.slice(0, Math.max(colon, 0)));
  if (row === undefined) throw nothingHere();
  const refusal = decide(row.admits, role);
  if (refusal !== undefined) throw refusal;
  return { row, rest: target.slice(colon + 1) };
}

/**
 * Guards every route that is added to `app` from here on, whatever plugin adds it: one without a rule
 * does not start, and each request learns its caller and role, or is refused before its body is read.
 * @returns the routes so far
 */
export function guardRoutes(app: FastifyInstance, { callerOf, roleOf }: GuardDeps): () => readonly RouteRow[] {
  const rows: RouteRow[] = [];
  app.decorateRequest("caller");
  app.decorateRequest("role");
  app.addHook("onRoute", ({ method, url, config }) => {
    const rule = config?.admits;
    if (rule === undefined || rule.length === 0)
      throw new Error(`${String(method)} ${url} does not say whom it admits`);
    // Fastify adds a HEAD beside each GET, with its rule: it is no row of its own.
    for (const one of [method].flat()) if (one !== "HEAD") rows.push({ method: one, path: url, admits: rule });
  });
  app.addHook("onRequest", async (request) => {
    request.caller = callerOf(request);
    request.role = roleOf(request.caller);
    if (request.is404) return; // nothing is there, for anybody
    const refusal = decide(request.routeOptions.config.admits ?? [], request.role);
    if (refusal !== undefined) throw refusal;
  });
  return () => rows;
}

/** One line for each route and each kind of target, with every role's answer: what a test holds against the promise. */
export function accessTable(routes: readonly RouteRow[], targets: readonly ConnectTarget[]): readonly string[] {
  const rows = [...routes, ...targets.map(({ kind, admits }) => ({ method: "CONNECT", path: `${kind}:`, admits }))];
  return rows
    .map(({ method, path, admits }) => `${method} ${path} ${roles.map((role) => answer(admits, role)).join(" ")}`)
    .sort();
}

function answer(rule: Rule, role: Role): string {
  return `${role}=${decide(rule, role)?.code ?? "yes"}`;
}
