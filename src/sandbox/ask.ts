/**
 * A guest's questions to the owner's node about sandboxes, over a link.
 *
 * What comes back is a stranger's: bounded, held against the contract, and its texts made fit for a terminal.
 */

import { StringDecoder } from "node:string_decoder";
import type { Duplex, Readable } from "node:stream";
import { Type } from "typebox";
import { Value } from "typebox/value";
import { cleanText, Failure } from "../core/index.ts";
import { ask, failureFrom, type Link, readText, wholeBody } from "../network/index.ts";
import {
  CreateProgress,
  type CreateRequest,
  type ExtendRequest,
  type LogsQuery,
  Offer,
  PublishedPort,
  type PublishRequest,
  Sandbox,
  SandboxesReply,
  Stats,
} from "./contract.ts";
import type { SandboxId } from "./runtime/sandbox-id.ts";

const Line = Type.Union([
  Type.Object({ progress: CreateProgress }),
  Type.Object({ result: Sandbox }),
  Type.Object({
    error: Type.Object({ code: Type.String(), message: Type.String(), hint: Type.Optional(Type.String()) }),
  }),
]);
/** A sandbox with 64 GPUs has some 10 KiB. */
const MAX_LINE_LENGTH = 65_536;
/** An hour of progress, ten lines a second. */
const MAX_LINES = 36_000;
/** Longer than anything honest: an image reference, a reason. */
const MAX_TEXT_LENGTH = 1_000;

export async function askOffer(link: Link, signal: AbortSignal): Promise<Offer> {
  return clean(await ask(link, { method: "GET", path: "/v1/offer", reply: Offer }, signal));
}

/**
 * The same id again is the same sandbox: who lost the answer asks again.
 * @throws {Failure} what the owner's node answers; bad-reply; link-lost
 */
export async function askCreate(
  link: Link,
  { note, ...request }: CreateRequest & { readonly note: (progress: CreateProgress) => void },
  signal: AbortSignal,
): Promise<Sandbox> {
  const reply = await link.request({ method: "POST", path: "/v1/sandboxes", body: request }, signal);
  if (reply.status >= 300) throw failureFrom(reply.status, parse(await readText(reply.body, MAX_LINE_LENGTH, signal)));
  for await (const text of linesOf(reply.body, signal)) {
    const line = parse(text);
    if (!Value.Check(Line, line)) throw new Failure("bad-reply", "the node tells of the making in words of its own");
    if ("error" in line) throw failureFrom(500, line);
    if ("result" in line) {
      if (line.result.id !== request.id)
        throw new Failure("bad-reply", "the node made another sandbox than was asked for");
      return clean(line.result);
    }
    note(clean(line.progress));
  }
  throw new Failure("link-lost", "the node stopped telling before the sandbox was made", {
    hint: "run the same command again: it goes on with the same sandbox",
  });
}

export async function askSandboxes(link: Link, signal: AbortSignal): Promise<readonly Sandbox[]> {
  const question = { method: "GET", path: "/v1/sandboxes", reply: SandboxesReply, maxBytes: 4 * 1024 ** 2 } as const;
  return clean(await ask(link, question, signal)).sandboxes;
}

export async function askSandbox(link: Link, id: SandboxId, signal: AbortSignal): Promise<Sandbox> {
  return clean(await ask(link, { method: "GET", path: `/v1/sandboxes/${id}`, reply: Sandbox }, signal));
}

/** What it was. Gone already: not-found. */
export async function askRemove(link: Link, id: SandboxId, signal: AbortSignal): Promise<Sandbox> {
  return clean(await ask(link, { method: "DELETE", path: `/v1/sandboxes/${id}`, reply: Sandbox }, signal));
}

export async function askExtend(
  link: Link,
  { id, ...body }: ExtendRequest & { readonly id: SandboxId },
  signal: AbortSignal,
): Promise<Sandbox> {
  const question = { method: "POST", path: `/v1/sandboxes/${id}/extend`, body, reply: Sandbox } as const;
  return clean(await ask(link, question, signal));
}

export async function askStats(link: Link, id: SandboxId, signal: AbortSignal): Promise<Stats> {
  return await ask(link, { method: "GET", path: `/v1/sandboxes/${id}/stats`, reply: Stats }, signal);
}

export async function askPublish(
  link: Link,
  { id, ...body }: PublishRequest & { readonly id: SandboxId },
  signal: AbortSignal,
): Promise<PublishedPort> {
  const question = { method: "POST", path: `/v1/sandboxes/${id}/publish`, body, reply: PublishedPort } as const;
  return await ask(link, question, signal);
}

export async function askUnpublish(
  link: Link,
  { id, port }: { readonly id: SandboxId; readonly port: number },
  signal: AbortSignal,
): Promise<Sandbox> {
  const question = { method: "DELETE", path: `/v1/sandboxes/${id}/publish/${port}`, reply: Sandbox } as const;
  return clean(await ask(link, question, signal));
}

/** Bytes as the command wrote them: not cleaned. With `follow` it ends with the sandbox, or when destroyed; fails when cut off. */
export async function askLogs(
  link: Link,
  { id, follow, lines }: LogsQuery & { readonly id: SandboxId },
  signal: AbortSignal,
): Promise<Readable> {
  const path = `/v1/sandboxes/${id}/logs?follow=${follow}&lines=${lines}`;
  const { status, body } = await link.request({ method: "GET", path }, signal);
  if (status >= 300) throw failureFrom(status, parse(await readText(body, MAX_LINE_LENGTH, signal)));
  return wholeBody(body);
}

export type StreamWish =
  | { readonly kind: "exec" | "ssh" }
  | { readonly kind: "port"; readonly port: number }
  /** @param path with the query that the resident knows */
  | { readonly kind: "put" | "get"; readonly path: string };

/** @throws {Failure} what the owner's node answers; link-lost */
export async function connectSandbox(
  link: Link,
  { id, wish }: { readonly id: SandboxId; readonly wish: StreamWish },
  signal: AbortSignal,
): Promise<Duplex> {
  return await link.connect(streamTarget(id, wish), signal);
}

/** The CONNECT target between nodes. */
export function streamTarget(id: SandboxId, wish: StreamWish): string {
  switch (wish.kind) {
    case "exec":
    case "ssh":
      return `${wish.kind}:${id}`;
    case "port":
      return `port:${id}/${wish.port}`;
    case "put":
    case "get":
      return `files:${id}/${wish.kind}/${wish.path}`;
  }
}

export async function* linesOf(body: Readable, signal: AbortSignal): AsyncGenerator<string> {
  const decoder = new StringDecoder("utf8");
  const onAbort = () => void body.destroy(signal.reason as Error);
  signal.addEventListener("abort", onAbort, { once: true });
  let rest = "";
  let count = 0;
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      const lines = (rest + decoder.write(chunk)).split("\n");
      rest = lines.pop() ?? "";
      count += lines.length;
      if (rest.length > MAX_LINE_LENGTH || count > MAX_LINES)
        throw new Failure("too-large", "the node tells more of the making than anybody needs");
      yield* lines;
    }
  } finally {
    signal.removeEventListener("abort", onAbort);
    body.destroy();
  }
}

export function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new Failure("bad-reply", "the answer is not JSON", { cause });
  }
}

/** The same value, its texts fit for a terminal. */
export function clean<T>(value: T): T {
  if (typeof value === "string") return cleanText(value, MAX_TEXT_LENGTH) as T;
  if (Array.isArray(value)) return value.map(clean) as T;
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, clean(inner)])) as T;
}
