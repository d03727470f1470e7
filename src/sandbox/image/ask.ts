/** A guest's questions to an owner's node about images. What comes back is a stranger's: bounded, and held against the contract. */

import type { Readable } from "node:stream";
import { type TSchema, Type } from "typebox";
import { Value } from "typebox/value";
import { Failure } from "../../core/index.ts";
import { ask, failureFrom, type Link, type LinkRequest, readText } from "../../network/index.ts";
import { clean, linesOf, parse } from "../ask.ts";
import {
  AdmitProgress,
  type AdmitRequest,
  BlobProgress,
  BlobReply,
  HeldImage,
  ImagesReply,
  MissingReply,
} from "./contract.ts";

const MAX_REPLY_BYTES = 64 * 1024;
const Trouble = Type.Object({
  error: Type.Object({ code: Type.String(), message: Type.String(), hint: Type.Optional(Type.String()) }),
});

export async function askMissing(link: Link, digests: readonly string[], signal: AbortSignal): Promise<MissingReply> {
  const body = { digests: [...digests] };
  return await ask(link, { method: "POST", path: "/v1/images/missing", body, reply: MissingReply }, signal);
}

export interface BlobSending {
  readonly digest: string;
  readonly size: number;
  readonly offset: number;
  /** From `offset` on. */
  readonly body: Readable;
  /** How much of the part is on the owner's disk. */
  readonly note: (bytes: number) => void;
}

/** @throws {Failure} what the owner's node answers; link-lost */
export async function askPutBlob(link: Link, sending: BlobSending, signal: AbortSignal): Promise<void> {
  const { digest, size, offset, body, note } = sending;
  const path = `/v1/images/blobs/${digest}?size=${size}&offset=${offset}`;
  try {
    await askLong(
      { link, request: { method: "PUT", path, body }, progress: BlobProgress, result: BlobReply },
      ({ bytes }) => note(bytes),
      signal,
    );
  } finally {
    body.destroy();
  }
}

export async function askAdmit(
  link: Link,
  { note, ...body }: AdmitRequest & { readonly note: (progress: AdmitProgress) => void },
  signal: AbortSignal,
): Promise<HeldImage> {
  const request = { method: "POST", path: "/v1/images", body } as const;
  return clean(await askLong({ link, request, progress: AdmitProgress, result: HeldImage }, note, signal));
}

export async function askImages(link: Link, signal: AbortSignal): Promise<readonly HeldImage[]> {
  return clean(await ask(link, { method: "GET", path: "/v1/images", reply: ImagesReply }, signal)).images;
}

export async function askRemoveImage(link: Link, name: string, signal: AbortSignal): Promise<HeldImage> {
  const path = `/v1/images?name=${encodeURIComponent(name)}`;
  return clean(await ask(link, { method: "DELETE", path, reply: HeldImage }, signal));
}

interface Long<P extends TSchema, R extends TSchema> {
  readonly link: Link;
  readonly request: LinkRequest;
  readonly progress: P;
  readonly result: R;
}

async function askLong<P extends TSchema, R extends TSchema>(
  { link, request, progress, result }: Long<P, R>,
  note: (progress: Type.Static<P>) => void,
  signal: AbortSignal,
): Promise<Type.Static<R>> {
  const reply = await link.request(request, signal);
  if (reply.status >= 300) throw failureFrom(reply.status, parse(await readText(reply.body, MAX_REPLY_BYTES, signal)));
  try {
    for await (const text of linesOf(reply.body, signal)) {
      const line = parse(text) as { readonly progress?: unknown; readonly result?: unknown };
      if (Value.Check(Trouble, line)) throw failureFrom(500, line);
      if (Value.Check(result, line.result)) return line.result as Type.Static<R>;
      if (!Value.Check(progress, line.progress))
        throw new Failure("bad-reply", "the node tells of the image in words of its own");
      note(line.progress as Type.Static<P>);
    }
  } catch (error) {
    signal.throwIfAborted();
    throw error instanceof Failure ? error : new Failure("link-lost", "the link broke", { cause: error });
  }
  throw new Failure("link-lost", "the node stopped telling before the image was there");
}
