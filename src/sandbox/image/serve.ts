/** Answers guests about the images that they push here. */

import { TypeBoxValidatorCompiler } from "@fastify/type-provider-typebox";
import type { FastifyInstance, FastifyPluginAsync } from "fastify";
import type { Readable } from "node:stream";
import type { Log } from "../../base/index.ts";
import { admits, type Caller, Failure, PROGRESS_TYPE, progressLines } from "../../core/index.ts";
import type { Guest } from "../lease/house.ts";
import {
  type AdmitProgress,
  AdmitRequest,
  BlobParams,
  type BlobProgress,
  BlobQuery,
  type BlobReply,
  HeldImage,
  ImageQuery,
  ImagesReply,
  MAX_MANIFEST_BYTES,
  MissingReply,
  MissingRequest,
} from "./contract.ts";
import type { PushedImages } from "./pushed-images.ts";

export interface ImageRoutesDeps {
  readonly images: PushedImages;
  /** @throws {Failure} not-allowed */
  readonly guestOf: (caller: Caller) => Guest;
  readonly log: Log;
}

const config = { admits: admits.guests };
/** A manifest as a text in JSON: a quarter of it may be marks that are written with another before them. */
const ADMIT_BODY = 2 * MAX_MANIFEST_BYTES;
/** Some thousand lines for the largest part. */
const NOTE_EVERY_BYTES = 1024 ** 2;
/** 129 digests. */
const MISSING_BODY = 16 * 1024;

export function serveImages(deps: ImageRoutesDeps): FastifyPluginAsync {
  return async (app) => {
    await app.register(async (octets) => {
      octets.removeAllContentTypeParsers();
      // As it comes: the store bounds it.
      octets.addContentTypeParser("application/octet-stream", (_request, payload, done) => done(null, payload));
      serveParts(octets, deps);
    });
    serveHeld(app, deps);
    await app.register(async (strict) => {
      strict.setValidatorCompiler(TypeBoxValidatorCompiler);
      serveAdmitting(strict, deps);
    });
  };
}

function serveParts(app: FastifyInstance, { images, guestOf, log }: ImageRoutesDeps): void {
  const onDefect = (error: unknown) => log.error("taking in a part of an image failed", { error });
  app.put<{ Params: BlobParams; Querystring: BlobQuery }>(
    "/v1/images/blobs/:digest",
    { config, schema: { params: BlobParams, querystring: BlobQuery } },
    (request, reply) => {
      const guest = guestOf(request.caller);
      const { digest } = request.params;
      const body = request.body as Readable | undefined;
      if (body === undefined || body === null) throw new Failure("bad-argument", "a part of an image is octets");
      // The head of the answer goes out at once: an upload takes as long as it takes.
      const lines = progressLines<BlobProgress, BlobReply>(
        async (note) => {
          let told = 0;
          const tell = (bytes: number) => {
            if (bytes - told < NOTE_EVERY_BYTES) return;
            told = bytes;
            note({ bytes });
          };
          await images.put(guest, { digest, ...request.query, body, note: tell });
          return { digest };
        },
        { onDefect },
      );
      return reply.type(PROGRESS_TYPE).send(lines);
    },
  );
}

function serveHeld(app: FastifyInstance, { images, guestOf }: ImageRoutesDeps): void {
  app.get("/v1/images", { config, schema: { response: { 200: ImagesReply } } }, (request) => ({
    images: [...images.of(guestOf(request.caller).id)],
  }));
  app.delete<{ Querystring: ImageQuery }>(
    "/v1/images",
    { config, schema: { querystring: ImageQuery, response: { 200: HeldImage } } },
    (request) => images.remove(guestOf(request.caller).id, request.query.name, request.signal),
  );
}

function serveAdmitting(app: FastifyInstance, { images, guestOf, log }: ImageRoutesDeps): void {
  const onDefect = (error: unknown) => log.error("admitting an image failed", { error });
  app.post<{ Body: MissingRequest }>(
    "/v1/images/missing",
    { config, bodyLimit: MISSING_BODY, schema: { body: MissingRequest, response: { 200: MissingReply } } },
    (request) => images.missing(guestOf(request.caller).id, request.body.digests),
  );
  app.post<{ Body: AdmitRequest }>(
    "/v1/images",
    { config, bodyLimit: ADMIT_BODY, schema: { body: AdmitRequest } },
    (request, reply) => {
      const guest = guestOf(request.caller);
      const lines = progressLines<AdmitProgress, HeldImage>(
        (note, signal) => images.admit(guest, { ...request.body, note }, signal),
        { onDefect },
      );
      return reply.type(PROGRESS_TYPE).send(lines);
    },
  );
}
