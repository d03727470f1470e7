/** Files in a sandbox as they are asked for from outside. What comes from there is a stranger's word. */

import type { Duplex } from "node:stream";
import { cleanText, Failure, isFailureCode } from "../../core/light.ts";
import type { FileFacts } from "../resident/file-range.ts";
import type { Moved } from "../resident/tar-words.ts";

/** @param target `put/<path>` or `get/<path>`, the path percent-encoded, and a query */
export type OpenFiles = (target: string, signal: AbortSignal) => Promise<Duplex>;
export type Query = Readonly<Record<string, string | number>>;

/** Far more than facts or a refusal take. */
const MAX_ANSWER_BYTES = 1024 * 1024 + 4096;

export class FarFiles {
  readonly #open: OpenFiles;

  constructor(open: OpenFiles) {
    this.#open = open;
  }

  /** Of what the path leads to. Undefined: nothing is there. @throws {Failure} */
  async facts(path: string, query: Query, signal: AbortSignal): Promise<FileFacts | undefined> {
    await using stream = await this.get(path, { stat: "", ...query }, signal);
    const answer = await readAnswer(stream.bytes, signal);
    if ("error" in answer && failureIn(answer.error).code === "not-found") return undefined;
    return parseFacts(contentOf(answer));
  }

  get(path: string, query: Query, signal: AbortSignal): Promise<FarStream> {
    return this.#stream("get", { path, query }, signal).then((stream) => {
      stream.bytes.end();
      return stream;
    });
  }

  /** Sends, and hears what came of it. A refusal ends the sending. @throws {Failure} */
  async put(
    { path, query }: { readonly path: string; readonly query: Query },
    send: (to: Duplex) => Promise<unknown>,
    signal: AbortSignal,
  ): Promise<Moved> {
    await using stream = await this.#stream("put", { path, query }, signal);
    const failures: unknown[] = [];
    const fail = (error: unknown) => {
      failures.push(error);
      stream.bytes.destroy(); // so that the other half ends too
      return undefined;
    };
    const answering = readAnswer(stream.bytes, signal)
      .then((answer) => parseMoved(contentOf(answer)))
      .catch(fail);
    const [answer] = await Promise.all([answering, send(stream.bytes).catch(fail)]);
    signal.throwIfAborted();
    if (answer === undefined || failures.length > 0) throw failures[0]; // the other one came of it
    return answer;
  }

  async #stream(
    way: "put" | "get",
    { path, query }: { readonly path: string; readonly query: Query },
    signal: AbortSignal,
  ): Promise<FarStream> {
    const words = Object.entries({ ...query, ...(way === "get" ? { follow: "" } : {}) });
    const asked = words.map(([key, value]) => (value === "" ? key : `${key}=${value}`)).join("&");
    const bytes = await this.#open(`${way}/${encodeURIComponent(path)}${asked === "" ? "" : `?${asked}`}`, signal);
    return new FarStream(bytes, signal);
  }
}

/** Ends with the signal, and with whoever asked for it. */
class FarStream implements AsyncDisposable {
  readonly bytes: Duplex;
  readonly #signal: AbortSignal;
  readonly #onAbort: () => void;

  constructor(bytes: Duplex, signal: AbortSignal) {
    this.bytes = bytes;
    this.#signal = signal;
    this.#onAbort = () => void bytes.destroy();
    bytes.on("error", () => undefined); // whoever reads sees that it ended early
    signal.addEventListener("abort", this.#onAbort, { once: true });
    if (signal.aborted) bytes.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#signal.removeEventListener("abort", this.#onAbort);
    this.bytes.destroy();
  }
}

type Answer = { readonly value: unknown } | { readonly error: unknown };

/** One JSON value, and nothing after it. @throws {Failure} link-lost */
async function readAnswer(stream: Duplex, signal: AbortSignal): Promise<Answer> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of stream.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > MAX_ANSWER_BYTES) throw new Failure("bad-reply", "what the sandbox answers has no end");
      chunks.push(chunk);
    }
    const value = JSON.parse(Buffer.concat(chunks).toString("utf8")) as unknown;
    return typeof value === "object" && value !== null && "error" in value ? { error: value.error } : { value };
  } catch (cause) {
    signal.throwIfAborted();
    if (cause instanceof Failure) throw cause;
    throw linkLost(cause);
  }
}

export function linkLost(cause?: unknown): Failure {
  return new Failure("link-lost", "the link to the sandbox broke while files were copied", {
    hint: "run it again: a large file goes on from where it was",
    cause,
  });
}

function contentOf(answer: Answer): unknown {
  if ("error" in answer) throw failureIn(answer.error);
  return answer.value;
}

/** The words of one who runs with the guest's rights inside. */
function failureIn(error: unknown): Failure {
  const { code, message } = (error ?? {}) as { readonly code?: unknown; readonly message?: unknown };
  const known = typeof code === "string" && isFailureCode(code) ? code : "bad-reply";
  const words = typeof message === "string" ? cleanText(message, 300) : "it refused without a reason";
  return new Failure(known, `in the sandbox: ${words}`, hintFor(known));
}

function hintFor(code: string): { readonly hint?: string } {
  if (code === "disk-full")
    return {
      hint: "make room in the sandbox, or its owner on that disk; nothing half-written is left under the final name",
    };
  return {};
}

const kinds = ["file", "folder", "link", "other"] as const;

function parseFacts(value: unknown): FileFacts {
  const { kind, size, mtimeMs, mode, prefixSha256 } = (value ?? {}) as Partial<Record<keyof FileFacts, unknown>>;
  const known = kinds.find((each) => each === kind);
  if (known === undefined || !isCount(size) || !isCount(mtimeMs) || mtimeMs > MAX_TIME_MS || !isCount(mode))
    throw new Failure("bad-reply", "what the sandbox answered is not as agreed");
  const facts = { kind: known, size, mtimeMs, mode };
  return typeof prefixSha256 === "string" ? { ...facts, prefixSha256 } : facts;
}

function parseMoved(value: unknown): Moved {
  const { files, bytes, sha256 } = (value ?? {}) as Partial<Record<keyof Moved, unknown>>;
  if (isCount(files) && isCount(bytes) && typeof sha256 === "string") return { files, bytes, sha256 };
  throw new Failure("bad-reply", "what the sandbox answered is not as agreed");
}

/** The last moment that a Date can say. */
const MAX_TIME_MS = 8.64e15;

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
