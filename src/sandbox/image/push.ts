/**
 * Sends an image to a node: what that misses, part by part, and at last the list of them. Where the link breaks it goes on
 * behind what has arrived.
 */

import { createReadStream } from "node:fs";
import type { Clock } from "../../base/index.ts";
import { cleanText, Failure } from "../../core/index.ts";
import type { Link } from "../../network/index.ts";
import { isSilence } from "../box/owners.ts";
import { askAdmit, askMissing, askPutBlob } from "./ask.ts";
import type { PushProgress, PushReply } from "./contract.ts";
import { partsOf } from "./manifest.ts";
import type { ImageSource } from "./source/source.ts";

export interface PushDeps {
  /** @throws {Failure} unreachable */
  readonly link: (signal: AbortSignal) => Promise<Link>;
  readonly clock: Clock;
}

/** After each failure without a byte between; a node that starts anew is back within a minute. */
const PAUSES_MS = [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000];

/** @throws {Failure} what the node answers; link-lost, unreachable */
export async function push(
  deps: PushDeps,
  { source, name, note }: { source: ImageSource; name: string; note: (progress: PushProgress) => void },
  signal: AbortSignal,
): Promise<PushReply> {
  const sending = new Sending(source, note);
  for (let failures = 0; ; failures++) {
    const before = sending.sent;
    try {
      const link = await deps.link(signal);
      await sending.send(link, signal);
      const held = await sending.admit(link, name, signal);
      return { ...held, sent: sending.sent };
    } catch (error) {
      signal.throwIfAborted();
      if (sending.sent > before) failures = 0;
      const pauseMs = PAUSES_MS[failures];
      if (!(error instanceof Failure) || pauseMs === undefined || !isPassing(error)) throw error;
      sending.again = cleanText(error.message, 200);
      await deps.clock.sleep(pauseMs, signal);
    }
  }
}

/** A part that ended in the middle is something that a node says, too. */
function isPassing(error: Failure): boolean {
  return isSilence(error) || error.code === "link-lost" || error.code === "conflict";
}

class Sending {
  /** Bytes that arrived, of all tries. */
  sent = 0;
  again: string | undefined;
  readonly #source: ImageSource;
  readonly #note: (progress: PushProgress) => void;

  constructor(source: ImageSource, note: (progress: PushProgress) => void) {
    this.#source = source;
    this.#note = note;
  }

  async send(link: Link, signal: AbortSignal): Promise<void> {
    const { manifest, paths } = this.#source;
    const parts = partsOf(manifest);
    const { missing } = await askMissing(
      link,
      parts.map(({ digest }) => digest),
      signal,
    );
    const wanted = parts.flatMap((part) => {
      const miss = missing.find(({ digest }) => digest === part.digest);
      return miss === undefined ? [] : [{ ...part, offset: miss.have <= part.size ? miss.have : 0 }];
    });
    const before = this.sent;
    const all = wanted.reduce((bytes, { size, offset }) => bytes + size - offset, 0);
    let done = 0;
    for (const [index, { digest, size, offset }] of wanted.entries()) {
      const note = (bytes: number) => {
        this.sent = before + done + Math.max(0, bytes - offset);
        this.#tell("sending", { done: index, all: wanted.length }, { done: this.sent - before, all });
      };
      note(offset);
      const path = paths.get(digest) ?? "";
      await askPutBlob(link, { digest, size, offset, body: createReadStream(path, { start: offset }), note }, signal);
      note(size);
      done += size - offset;
    }
  }

  admit(link: Link, name: string, signal: AbortSignal) {
    const { bytes } = this.#source.manifest;
    const all = this.sent;
    const note = ({ layers }: { readonly layers: PushProgress["layers"] }) =>
      this.#tell("checking", layers, { done: all, all });
    return askAdmit(link, { name, manifest: bytes.toString("utf8"), note }, signal);
  }

  #tell(step: PushProgress["step"], layers: PushProgress["layers"], bytes: PushProgress["bytes"]): void {
    this.#note({ step, layers, bytes, ...(this.again === undefined ? {} : { again: this.again }) });
  }
}
