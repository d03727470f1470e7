/** Answers the person about images of theirs on other nodes, and sends them there. */

import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { TypeBoxValidatorCompiler } from "@fastify/type-provider-typebox";
import type { FastifyPluginAsync } from "fastify";
import type { Clock, Log } from "../../base/index.ts";
import { admits, Failure, PROGRESS_TYPE, progressLines } from "../../core/index.ts";
import type { Dialable, Link, Reach } from "../../network/index.ts";
import { diskFailure } from "../../store/index.ts";
import { parseImage } from "../words.ts";
import { askImages, askRemoveImage } from "./ask.ts";
import {
  HeldImage,
  ImageQuery,
  ImagesReply,
  NodeParams,
  type PushProgress,
  type PushReply,
  PushRequest,
} from "./contract.ts";
import { push } from "./push.ts";
import { openSource } from "./source/source.ts";

export interface PushRoutesDeps {
  /** @throws {Failure} unknown-node, ambiguous */
  readonly resolve: (text: string) => Dialable;
  readonly reach: Pick<Reach, "link">;
  /** Where archives are taken apart: room for the largest image. */
  readonly folder: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly log: Log;
}

const config = { admits: admits.owner };
const SMALL_BODY = 16 * 1024;
/** Each takes the room of an image on this machine's disk. */
const MAX_PUSHES = 4;
/** How often progress is told while an archive is read. */
const NOTE_EVERY_BYTES = 4 * 1024 ** 2;

export function servePushes(deps: PushRoutesDeps): FastifyPluginAsync {
  let pushes = 0;
  const linkTo = (text: string, signal: AbortSignal): Promise<Link> => deps.reach.link(deps.resolve(text), signal);
  return async (app) => {
    await rm(deps.folder, { recursive: true, force: true }); // what a kill left
    app.setValidatorCompiler(TypeBoxValidatorCompiler);
    app.post<{ Params: NodeParams; Body: PushRequest }>(
      "/v1/nodes/:node/images",
      { config, bodyLimit: SMALL_BODY, schema: { params: NodeParams, body: PushRequest } },
      (request, reply) => {
        const target = deps.resolve(request.params.node);
        if (pushes >= MAX_PUSHES)
          throw new Failure("busy", `${pushes} images are being pushed already`, { hint: "wait for one of them" });
        pushes++;
        const work = (note: (progress: PushProgress) => void, signal: AbortSignal) =>
          pushTo(deps, { target, wish: request.body, note }, signal).finally(() => void pushes--);
        const onDefect = (error: unknown) => deps.log.error("pushing an image failed", { error });
        return reply.type(PROGRESS_TYPE).send(progressLines<PushProgress, PushReply>(work, { onDefect }));
      },
    );
    app.get<{ Params: NodeParams }>(
      "/v1/nodes/:node/images",
      { config, schema: { params: NodeParams, response: { 200: ImagesReply } } },
      async (request) => ({
        images: [...(await askImages(await linkTo(request.params.node, request.signal), request.signal))],
      }),
    );
    app.delete<{ Params: NodeParams; Querystring: ImageQuery }>(
      "/v1/nodes/:node/images",
      { config, schema: { params: NodeParams, querystring: ImageQuery, response: { 200: HeldImage } } },
      async (request) =>
        await askRemoveImage(await linkTo(request.params.node, request.signal), request.query.name, request.signal),
    );
  };
}

interface Pushing {
  readonly target: Dialable;
  readonly wish: PushRequest;
  readonly note: (progress: PushProgress) => void;
}

async function pushTo(deps: PushRoutesDeps, { target, wish, note }: Pushing, signal: AbortSignal): Promise<PushReply> {
  const { reach, clock, environment } = deps;
  const folder = await newFolder(deps.folder);
  try {
    const reading = (bytes: number) =>
      note({ step: "reading", layers: { done: 0, all: 0 }, bytes: { done: bytes, all: bytes } });
    const source = await openSource({ folder, environment, note: sometimes(reading) }, wish.source, signal);
    const name = nameFor(wish.name, source.name);
    return await push({ link: (s) => reach.link(target, s), clock }, { source, name, note }, signal);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** @throws {Failure} disk-full */
async function newFolder(below: string): Promise<string> {
  try {
    await mkdir(below, { recursive: true, mode: 0o700 });
    return await mkdtemp(join(below, "push-"));
  } catch (error) {
    throw diskFailure(error, below) ?? error;
  }
}

/** @throws {Failure} bad-argument */
function nameFor(wanted: string | undefined, own: string | undefined): string {
  const name = wanted ?? own;
  if (name !== undefined && !name.includes("@")) return parseImage(name);
  throw new Failure("bad-argument", "the image has no name of its own", { hint: "give it one with `--name`" });
}

/** Adds up, and tells now and then. */
function sometimes(tell: (bytes: number) => void): (bytes: number) => void {
  let read = 0;
  let told = 0;
  return (bytes) => {
    read += bytes;
    if (read - told < NOTE_EVERY_BYTES) return;
    told = read;
    tell(read);
  };
}
