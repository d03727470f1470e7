/** Answers the person whose node it is: who runs what here, what it used, how much is lent, and how all of it ends. */

import { TypeBoxValidatorCompiler } from "@fastify/type-provider-typebox";
import type { FastifyInstance, FastifyPluginAsync } from "fastify";
import { admits, cleanText, Failure, type NodeId } from "../core/index.ts";
import {
  GuestParams,
  type GuestSandbox,
  GuestsReply,
  LendLimits,
  PanicReply,
  PanicRequest,
  Sandbox,
  type Usage,
  UsageReply,
} from "./contract.ts";
import { type Lease, nothingUsed, shown } from "./lease/lease.ts";
import { type GuestTotal, type LeaseStore, sum } from "./lease/lease-store.ts";
import type { Publications } from "./lease/publish.ts";
import type { Sampler } from "./lease/sampler.ts";
import type { Sandboxes } from "./lease/sandboxes.ts";
import type { Streams } from "./lease/streams.ts";
import type { Runtime } from "./runtime/runtime.ts";

export interface OwnerRoutesDeps {
  readonly sandboxes: Sandboxes;
  readonly store: LeaseStore;
  readonly sampler: Sampler;
  readonly streams: Streams;
  readonly publications: Publications;
  readonly runtime: Runtime;
  readonly nameOf: (id: NodeId) => string;
  /** Ends every link on which a guest asks. */
  readonly hangUp: () => void;
  readonly stopLending: (signal: AbortSignal) => Promise<void>;
  readonly wallTime: () => number;
}

const config = { admits: admits.owner };
/** 64 patterns of 255 characters. */
const LIMITS_BODY = 32 * 1024;
const SMALL_BODY = 256;

export function serveOwner(deps: OwnerRoutesDeps): FastifyPluginAsync {
  return async (app) => {
    app.setValidatorCompiler(TypeBoxValidatorCompiler);
    serveGuests(app, deps);
    servePanic(app, deps);
    app.get("/v1/lend/limits", { config, schema: { response: { 200: LendLimits } } }, () => deps.sandboxes.limits);
    app.put<{ Body: LendLimits }>(
      "/v1/lend/limits",
      { config, bodyLimit: LIMITS_BODY, schema: { body: LendLimits, response: { 200: LendLimits } } },
      (request) => {
        deps.sandboxes.limits = request.body;
        return request.body;
      },
    );
    app.get("/v1/usage", { config, schema: { response: { 200: UsageReply } } }, () => ({ guests: usageOf(deps) }));
  };
}

function serveGuests(app: FastifyInstance, deps: OwnerRoutesDeps): void {
  const { sandboxes, runtime } = deps;
  const show = (lease: Lease) => shown(lease, runtime.facts.kind, sandboxes.book.leftMs(lease));

  app.get("/v1/guests", { config, schema: { response: { 200: GuestsReply } } }, () => ({
    sandboxes: sandboxes.book.all.map((lease) => guestSandbox(lease, deps)),
    frozen: sandboxes.panicked,
  }));

  const post = (verb: string, act: (lease: Lease, signal: AbortSignal) => Promise<Lease>) =>
    app.post<{ Params: GuestParams }>(
      `/v1/guests/:sandbox/${verb}`,
      { config, bodyLimit: SMALL_BODY, schema: { params: GuestParams, response: { 200: Sandbox } } },
      async (request) => show(await act(find(sandboxes, request.params.sandbox), request.signal)),
    );
  const now = (lease: Lease) => sandboxes.book.get(lease.id) ?? lease;
  post("pause", async (lease) => {
    if (lease.state !== "running") throw notRunning(lease);
    await sandboxes.hold(lease.id, "owner", "the owner paused it");
    return now(lease);
  });
  post("resume", async (lease) => {
    if (lease.state !== "running") throw notRunning(lease);
    await sandboxes.release(lease.id, ["owner", "walls", "quota"]);
    return now(lease);
  });
  post("kick", async (lease, signal) => {
    await sandboxes.remove(lease.id, "the owner ended it", signal);
    return { ...lease, state: "removing" };
  });
}

function servePanic(app: FastifyInstance, { sandboxes, hangUp, stopLending }: OwnerRoutesDeps): void {
  app.post<{ Body: PanicRequest }>(
    "/v1/panic",
    { config, bodyLimit: SMALL_BODY, schema: { body: PanicRequest, response: { 200: PanicReply } } },
    async (request): Promise<PanicReply> => {
      const { on } = request.body;
      const frozen = sandboxes.panic(on);
      if (on) hangUp();
      // It is not given up when the person who asked for it leaves.
      const [{ sandboxes: count, problems }] = await Promise.all([
        frozen,
        on ? stopLending(new AbortController().signal) : undefined,
      ]);
      return { on, sandboxes: count, problems: [...problems] };
    },
  );
}

function guestSandbox(lease: Lease, deps: OwnerRoutesDeps): GuestSandbox {
  const { sandboxes, runtime, sampler, streams, publications, nameOf } = deps;
  const { id, guest, used } = lease;
  const stats = sampler.latest(id);
  return {
    sandbox: publications.shown(shown(lease, runtime.facts.kind, sandboxes.book.leftMs(lease))),
    guestName: nameOf(guest),
    ...(stats === undefined ? {} : { stats: { id, ...stats, linkBytes: used.linkBytes + streams.bytes(id) } }),
  };
}

/** Ended sandboxes and those that run, by guest. */
function usageOf({ store, sandboxes, nameOf, wallTime }: OwnerRoutesDeps): Usage[] {
  const totals = new Map<NodeId, GuestTotal>(store.totals().map((total) => [total.guest, total]));
  for (const { guest, used, made, state } of sandboxes.book.all) {
    if (state === "making") continue;
    const before = totals.get(guest) ?? { guest, sandboxes: 0, used: nothingUsed, first: made, last: made };
    totals.set(guest, {
      guest,
      sandboxes: before.sandboxes + 1,
      used: sum(before.used, used),
      first: Math.min(before.first, made),
      last: wallTime(),
    });
  }
  return Array.from(totals.values(), ({ guest, used, ...rest }) => {
    const { cpuMs, memoryByteSeconds, receivedBytes, sentBytes, linkBytes } = used;
    const amounts = { cpuMs, memoryByteSeconds, receivedBytes, sentBytes, linkBytes };
    return { guest, guestName: nameOf(guest), ...rest, ...amounts };
  });
}

/** By id, name, or the start of an id. @throws {Failure} not-found, ambiguous */
function find({ book }: Sandboxes, text: string): Lease {
  const wanted = text.trim().toLowerCase();
  const named = book.all.filter(({ id, name }) => id === wanted || name === wanted);
  const matches = named.length > 0 ? named : book.all.filter(({ id }) => wanted !== "" && id.startsWith(wanted));
  const [first, second] = matches;
  if (first === undefined)
    throw new Failure("not-found", `no guest has a sandbox "${cleanText(text, 40)}"`, {
      hint: "`p2prc ps --guests` lists them",
    });
  if (second === undefined) return first;
  const shownMatches = matches.slice(0, 5).map(({ id, name }) => `${name} (${id})`);
  throw new Failure("ambiguous", `"${cleanText(text, 40)}" may be ${shownMatches.join(" or ")}`, {
    hint: "type its id, or more of it",
  });
}

function notRunning({ state, reason }: Lease): Failure {
  return new Failure("conflict", `the sandbox does not run: ${reason ?? state}`, {
    hint: "`p2prc ps --guests` shows how it is",
  });
}
