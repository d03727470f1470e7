/**
 * The gate in one sandbox as the guest's daemon holds it: started by an exec, and spoken to through a port of the sandbox, so that
 * its owner is asked for no more than for any other command and any other port, and counts both.
 *
 * What it says is a stranger's: whoever lends the node may have written it.
 */

import type { Duplex } from "node:stream";
import { type Clock, type Random, within } from "../../base/index.ts";
import { cleanText, Failure } from "../../core/index.ts";
import type { StreamWish } from "../ask.ts";
import { encodeFrame, FrameReader } from "../resident/frames.ts";
import { type Piece, PieceReader } from "./inside/strands.ts";

export interface GateLinkDeps {
  /** A stream into the sandbox. @throws {Failure} */
  readonly connect: (wish: StreamWish, signal: AbortSignal) => Promise<Duplex>;
  /** How a gate is started. */
  readonly argv: readonly string[];
  readonly clock: Clock;
  readonly random: Random;
}

/** A Node that starts on a slow and busy machine. */
const START_MS = 30_000;
const WORD_BYTES = 32;
const MAX_WORDS_LENGTH = 2_000;
/** All windows of a tunnel at once come to half of it: whoever takes nothing is let go. */
const MAX_BEHIND_BYTES = 256 * 1024 ** 2;

export class GateLink implements AsyncDisposable {
  readonly #exec: Duplex;
  #way: Duplex | undefined;
  readonly #started = Promise.withResolvers<number>();
  readonly #ended = Promise.withResolvers<Failure>();
  #words = "";

  /** @throws {Failure} what the owner's node says of an exec or of a port; not-supported, timed-out */
  static async open(deps: GateLinkDeps, signal: AbortSignal): Promise<GateLink> {
    const word = Buffer.from(deps.random.bytes(WORD_BYTES)).toString("hex");
    const link = new GateLink(await deps.connect({ kind: "exec" }, signal));
    try {
      link.#exec.write(encodeFrame("start", JSON.stringify({ argv: deps.argv, env: {} })));
      link.#exec.write(encodeFrame("stdin", `${word}\n`));
      const late = () => new Failure("timed-out", "nothing answers in it");
      const port = await within({ clock: deps.clock, timeoutMs: START_MS, late }, () => link.#started.promise, signal);
      const way = await deps.connect({ kind: "port", port }, signal);
      way.on("error", () => undefined); // "close" follows
      way.once("close", () => link.#end(new Failure("link-lost", "the way into it was cut")));
      way.write(word);
      link.#way = way;
      return link;
    } catch (error) {
      await link[Symbol.asyncDispose]();
      throw error;
    }
  }

  private constructor(exec: Duplex) {
    this.#exec = exec;
    this.#started.promise.catch(() => undefined); // it may be nobody's
    const reader = new FrameReader();
    exec.on("error", () => undefined); // "close" follows
    exec.on("data", (bytes: Buffer) => {
      try {
        for (const { kind, content } of reader.take(bytes)) this.#hear(kind, content);
      } catch (cause) {
        if (!(cause instanceof RangeError)) throw cause;
        this.#end(new Failure("bad-reply", "what its node sends makes no sense", { cause }));
      }
    });
    exec.once("close", () => this.#end(new Failure("link-lost", "the way into it was cut")));
  }

  /** Resolves, never rejects, with why it is over. */
  get ended(): Promise<Failure> {
    return this.#ended.promise;
  }

  /** Hears all of it. @param take throws a RangeError where it makes no sense: the gate is let go then */
  listen(take: (piece: Piece) => void): void {
    const reader = new PieceReader();
    this.#way?.on("data", (bytes: Buffer) => {
      try {
        for (const piece of reader.take(bytes)) take(piece);
      } catch (cause) {
        if (!(cause instanceof RangeError) && !(cause instanceof SyntaxError)) throw cause;
        this.#end(new Failure("bad-reply", "what is said in it makes no sense", { cause }));
      }
    });
  }

  /** What is said after its end goes nowhere. */
  say(piece: Buffer): void {
    const way = this.#way;
    if (way === undefined || way.destroyed) return;
    way.write(piece);
    if (way.writableLength > MAX_BEHIND_BYTES) this.#end(new Failure("link-lost", "it takes nothing any more"));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end(new Failure("link-lost", "it was let go"));
  }

  #hear(kind: string, content: Buffer): void {
    if (kind === "stderr") this.#words = (this.#words + content.toString("utf8")).slice(-MAX_WORDS_LENGTH);
    else if (kind === "stdout") this.#started.resolve(portIn(content));
    else if (kind === "end") {
      const words = cleanText(`${content.toString("utf8").slice(0, 200)} ${this.#words}`, 300);
      this.#end(new Failure("not-supported", `what carries ports ended in it: ${words}`));
    }
  }

  #end(why: Failure): void {
    this.#ended.resolve(why);
    this.#started.reject(why);
    this.#exec.destroy();
    this.#way?.destroy();
  }
}

/** @throws {RangeError} */
function portIn(content: Buffer): number {
  const [, digits = ""] = /^(\d{1,5})\n$/.exec(content.toString("utf8")) ?? [];
  const port = Number(digits);
  if (port < 1 || port > 65_535) throw new RangeError("not a port");
  return port;
}
