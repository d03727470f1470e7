/**
 * What a node asks of another to measure it, over a link.
 *
 * Download: this end counts. Upload: the other end counts, and its word is held against what this
 * end handed over: not more bytes, and not in less time.
 */

import type { Readable } from "node:stream";
import { type Clock, Scope, within } from "../base/index.ts";
import { cleanText, Failure } from "../core/index.ts";
import { ask, failureFrom, type Link, type LinkReply, readText } from "../network/index.ts";
import { Counted, Specs } from "./contract.ts";
import { meter } from "./meter.ts";
import { Payload } from "./payload.ts";

export interface TestOptions {
  readonly clock: Clock;
  readonly maxBytes: number;
  readonly maxMs: number;
  /** Told how it goes, a few times a second. */
  readonly note?: (counted: Counted) => void;
}

/** How long the other end may take to begin, and to answer when all is sent. */
const ANSWER_MS = 5_000;
/** Who ends a test by himself before this many bytes has not been tested. */
const MIN_BYTES = 65_536;
const TICK_MS = 250;

/** @throws {Failure} busy, too-often; timed-out, link-lost, bad-reply */
export async function askDownload(link: Link, options: TestOptions, signal: AbortSignal): Promise<Counted> {
  const { clock, maxBytes, maxMs } = options;
  const path = `/v1/speed/download?maxBytes=${maxBytes}&maxMs=${maxMs}`;
  const reply = await begin(link, { clock, path }, signal);
  try {
    if (reply.status !== 200) throw await refusal(reply, signal);
    const counted = await meter(reply.body, options, signal);
    if (counted.bytes < Math.min(MIN_BYTES, maxBytes) && counted.ms < maxMs / 2) {
      throw new Failure("bad-reply", `the other node sent only ${counted.bytes} bytes to measure`);
    }
    return counted;
  } finally {
    endBody(reply.body);
  }
}

/**
 * @param downloaded what this end counted of the download before, for the other end to know
 * @throws {Failure} busy, too-often; timed-out, link-lost, bad-reply
 */
export async function askUpload(
  link: Link,
  { downloaded, ...options }: TestOptions & { readonly downloaded: Counted | undefined },
  signal: AbortSignal,
): Promise<Counted> {
  const { clock, maxMs } = options;
  await using scope = new Scope(signal);
  const payload = new Payload(options);
  payload.on("error", () => undefined); // why the link gave it up is in the answer
  scope.defer(() => void payload.destroy());
  scope.spawn((running) => tell(payload, options, running));
  const query = downloaded === undefined ? "" : `?bytes=${downloaded.bytes}&ms=${downloaded.ms}`;
  const question = { method: "POST", path: `/v1/speed/upload${query}`, body: payload, reply: Counted } as const;
  const counted = await within(
    { clock, timeoutMs: maxMs + ANSWER_MS, late },
    (attempt) => ask(link, question, attempt),
    scope.signal,
  );
  const { sent } = payload;
  if (counted.bytes > sent.bytes) throw new Failure("bad-reply", "the other node says that more came than was sent");
  return { bytes: counted.bytes, ms: Math.max(counted.ms, sent.ms) };
}

/** @throws {Failure} not-allowed where this node holds no grant there */
export async function askSpecs(link: Link, clock: Clock, signal: AbortSignal): Promise<Specs> {
  const question = { method: "GET", path: "/v1/specs", reply: Specs } as const;
  const specs = await within({ clock, timeoutMs: ANSWER_MS, late }, (attempt) => ask(link, question, attempt), signal);
  return {
    ...specs,
    cpu: { ...specs.cpu, model: cleanText(specs.cpu.model, 96) },
    gpus: specs.gpus.map((gpu) => ({ ...gpu, model: cleanText(gpu.model, 96) })),
    platform: cleanText(specs.platform, 32),
    architecture: cleanText(specs.architecture, 32),
    problems: specs.problems.map((problem) => cleanText(problem, 300)),
  };
}

/** With an error: without one, Node's HTTP/2 ends only its own half, and the other end goes on sending until its window is full. */
function endBody(body: Readable): void {
  body.on("error", () => undefined);
  body.destroy(new Error("enough"));
}

function begin(
  link: Link,
  { clock, path }: { readonly clock: Clock; readonly path: string },
  signal: AbortSignal,
): Promise<LinkReply> {
  return within(
    { clock, timeoutMs: ANSWER_MS, late },
    (attempt) => link.request({ method: "GET", path }, attempt),
    signal,
  );
}

async function refusal(reply: LinkReply, signal: AbortSignal): Promise<Failure> {
  const text = await readText(reply.body, MIN_BYTES, signal);
  try {
    return failureFrom(reply.status, JSON.parse(text));
  } catch (cause) {
    return new Failure("bad-reply", `the other node answered with status ${reply.status}`, { cause });
  }
}

async function tell(payload: Payload, { clock, note }: TestOptions, signal: AbortSignal): Promise<void> {
  while (note !== undefined && !signal.aborted) {
    await clock.sleep(TICK_MS, signal);
    if (payload.sent.bytes > 0) note(payload.sent);
  }
}

function late(): Failure {
  return new Failure("timed-out", "the other node did not answer in time", {
    hint: "try again; `p2prc why NODE` shows the attempts",
  });
}
