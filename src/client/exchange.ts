/**
 * A question to the daemon and its answer: one JSON value, a stream of JSON lines that ends with a
 * result, or lines of text. What the daemon reports as an error becomes a Failure again.
 */

import type { Duplex } from "node:stream";
import { Failure, isFailureCode } from "../core/light.ts";
import type { Exchange, Reply, Transport } from "./transport.ts";

/** A line of a long answer: how it goes, and at the end what came of it. */
export type Step<P, R> = { readonly progress: P } | { readonly result: R };

/** The daemon is the person's own; the cap only keeps a broken one from filling the memory. Ten thousand nodes take 8 MiB. */
const MAX_REPLY_BYTES = 64 * 2 ** 20;

/** @throws {Failure} what the daemon answered */
export async function askJson<T>(transport: Transport, exchange: Exchange, signal: AbortSignal): Promise<T> {
  const reply = await transport.send(exchange, signal);
  const value = parse(await readText(reply));
  if (reply.status >= 300) throw failureFrom(reply.status, value);
  return value as T;
}

/**
 * Yields the steps of a long answer; the last one is the result.
 * @throws {Failure} what the daemon answered, at the start or on the way
 */
export async function* askSteps<P, R>(
  transport: Transport,
  exchange: Exchange,
  signal: AbortSignal,
): AsyncGenerator<Step<P, R>> {
  let ended = false;
  for await (const line of askLines(transport, exchange, signal)) {
    if (line === "") continue;
    const value = parse(line) as Step<P, R>;
    if ("error" in value) throw failureFrom(500, value);
    ended = "result" in value;
    yield value;
  }
  if (!ended)
    throw new Failure("daemon-failed", "the daemon broke off in the middle of its answer", {
      hint: "`p2prc logs` may say why",
    });
}

/** @throws {Failure} what the daemon answered */
export async function* askLines(transport: Transport, exchange: Exchange, signal: AbortSignal): AsyncGenerator<string> {
  const reply = await transport.send(exchange, signal);
  if (reply.status >= 300) throw failureFrom(reply.status, parse(await readText(reply)));
  yield* linesOf(reply.body);
}

/** A byte stream through the daemon. @throws {Failure} what the daemon answered */
export async function openStream(transport: Transport, target: string, signal: AbortSignal): Promise<Duplex> {
  const answer = await transport.connect(target, signal);
  if (!("status" in answer)) return answer;
  throw failureFrom(answer.status, parse(await readText(answer)));
}

/** The bytes of a long answer as they come. @throws {Failure} what the daemon answered */
export async function* askBytes(
  transport: Transport,
  exchange: Exchange,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const reply = await transport.send(exchange, signal);
  if (reply.status >= 300) throw failureFrom(reply.status, parse(await readText(reply)));
  yield* reply.body;
}

/** Splits a stream of UTF-8 into lines, whatever the pieces it arrives in. A last line without its end counts. */
export async function* linesOf(body: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of body) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    if (rest.length > MAX_REPLY_BYTES) throw new Failure("too-large", "a line of the daemon's answer is too long");
    yield* lines;
  }
  rest += decoder.decode();
  if (rest !== "") yield rest;
}

async function readText({ body }: Reply): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    if (size > MAX_REPLY_BYTES) throw new Failure("too-large", `the daemon's answer has over ${MAX_REPLY_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function parse(text: string): unknown {
  if (text === "") return {};
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new Failure("bad-reply", "the daemon's answer is not JSON", { cause });
  }
}

function failureFrom(status: number, value: unknown): Error {
  const { code, message, hint } = errorIn(value);
  if (typeof code !== "string" || typeof message !== "string") {
    return new Failure("bad-reply", `the daemon answered with status ${status}`, { hint: "`p2prc logs` may say why" });
  }
  if (code === "defect") return new Error(message); // one of the daemon's is one of ours
  // A code that this program does not know comes from a newer daemon; its words are still good.
  return new Failure(isFailureCode(code) ? code : "daemon-failed", message, {
    hint: typeof hint === "string" ? hint : undefined,
  });
}

function errorIn(value: unknown): { code?: unknown; message?: unknown; hint?: unknown } {
  if (typeof value !== "object" || value === null || !("error" in value)) return {};
  return typeof value.error === "object" && value.error !== null ? value.error : {};
}
