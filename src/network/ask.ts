/**
 * A question over a link and its answer, both JSON, the answer checked before anybody uses it.
 *
 * What comes back is a stranger's: it is read up to a cap, parsed, and held against the schema. An
 * error the other end reports keeps its code and its words, cleaned for a terminal.
 */

import { constants } from "node:http2";
import { PassThrough, type Readable } from "node:stream";
import { type Static, Type, type TSchema } from "typebox";
import { Value } from "typebox/value";
import { type Clock, systemClock, within } from "../base/index.ts";
import { cleanText, Failure, isFailureCode } from "../core/index.ts";
import type { Link, LinkRequest } from "./link.ts";

export interface Question<T extends TSchema> extends LinkRequest {
  /** What the answer must look like. */
  readonly reply: T;
  /** @default 65_536 */
  readonly maxBytes?: number;
  /** From the head of the answer to its end. @default 30_000: 64 KiB at 20 kbit/s */
  readonly timeoutMs?: number;
  /** @default the machine's own */
  readonly clock?: Clock;
}

/** The body of every answer that is not a success. */
export const ErrorReply = Type.Object({
  error: Type.Object({ code: Type.String(), message: Type.String(), hint: Type.Optional(Type.String()) }),
});
export type ErrorReply = Static<typeof ErrorReply>;

/** @throws {Failure} what the other end answered; bad-reply; too-large; timed-out; link-lost */
export async function ask<T extends TSchema>(
  link: Link,
  question: Question<T>,
  signal: AbortSignal,
): Promise<Static<T>> {
  const { reply: schema, maxBytes = 65_536, timeoutMs = 30_000, clock = systemClock, ...request } = question;
  const reply = await link.request(request, signal);
  const late = () => new Failure("timed-out", `the answer was not whole within ${timeoutMs / 1000} s`);
  const text = await within({ clock, timeoutMs, late }, (reading) => readText(reply.body, maxBytes, reading), signal);
  const value = parseJson(text);
  if (reply.status >= 300) throw failureFrom(reply.status, value);
  if (!Value.Check(schema, value)) {
    const [first] = Value.Errors(schema, value);
    throw new Failure("bad-reply", `the answer to ${request.method} ${request.path} is not as agreed`, {
      hint: "one of the two nodes may be too old; `p2prc info NODE` shows its version",
      cause: first,
    });
  }
  return value as Static<T>;
}

/**
 * Reads a text to its end, at most `maxBytes` of it.
 *
 * By its events: `for await` takes an HTTP/2 stream that the other end has closed for one that broke off, whatever of it is
 * still to be read.
 * @throws {Failure} too-large, link-lost: it ended in the middle
 */
export async function readText(body: Readable, maxBytes: number, signal: AbortSignal): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const onAbort = () => reject(signal.reason);
  if (signal.aborted) onAbort();
  signal.addEventListener("abort", onAbort, { once: true });
  body.once("end", resolve).on("error", reject);
  body.once("close", () => reject(new Failure("link-lost", "the answer ended in the middle")));
  if (body.destroyed) reject(new Failure("link-lost", "the answer ended in the middle"));
  body.on("data", (chunk: Buffer) => {
    size += chunk.length;
    if (size > maxBytes) reject(new Failure("too-large", `the answer has over ${maxBytes} bytes`));
    else chunks.push(chunk);
  });
  try {
    await promise;
  } finally {
    signal.removeEventListener("abort", onAbort);
    leave(body);
  }
  return Buffer.concat(chunks).toString("utf8");
}

/**
 * A long answer as it comes, which fails where it was cut off. An HTTP/2 stream says then that it has ended, all the same: that
 * it was destroyed before, or reset, tells the two apart. Destroying it lets go of the stream.
 */
export function wholeBody(body: Readable & { readonly rstCode?: number }): Readable {
  const whole = new PassThrough();
  const cut = (cause?: Error) =>
    whole.destroy(new Failure("link-lost", "the link broke in the middle of the answer", { cause }));
  body.on("error", cut).once("close", () => {
    if (!whole.writableEnded) cut();
  });
  body.once("end", () => {
    if (!body.destroyed && (body.rstCode ?? 0) === constants.NGHTTP2_NO_ERROR) whole.end();
  });
  if (body.destroyed) cut();
  whole.once("close", () => leave(body));
  return body.pipe(whole, { end: false });
}

/** Destroying a stream of HTTP/2 alone tells the other end nothing: it would hold what it has still to send for ever. */
function leave(body: Readable & { readonly rstCode?: number; close?(code: number): void }): void {
  if (body.rstCode !== undefined && !body.readableEnded && !body.destroyed) body.close?.(constants.NGHTTP2_CANCEL);
  body.destroy();
}

/** The Failure that the other end reported, as far as its words can be used. */
export function failureFrom(status: number, value: unknown): Failure {
  if (!Value.Check(ErrorReply, value)) return new Failure("bad-reply", `the other node answered with status ${status}`);
  const { code, message, hint } = value.error;
  const words = cleanText(message, 300);
  const failure =
    code === "disk-full"
      ? // What it would have its own person do is not for us to do.
        new Failure(code, `on the other node: ${words}`, { hint: "its owner has to free some space there" })
      : new Failure(isFailureCode(code) ? code : "bad-reply", words, {
          hint: hint === undefined ? undefined : cleanText(hint, 300),
        });
  told.add(failure);
  return failure;
}

const told = new WeakSet<object>();

/** Whether the other end has said so: a `link-lost` that it tells of is one of its own, and the link to it is well. */
export function wasTold(error: unknown): boolean {
  return error instanceof Failure && told.has(error);
}

function parseJson(text: string): unknown {
  if (text === "") return undefined;
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new Failure("bad-reply", "the answer is not JSON", { cause });
  }
}
