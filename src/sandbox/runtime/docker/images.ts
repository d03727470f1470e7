/** Images by reference or digest: those that are here already, and those that the engine pulls, with how far it is. */

import { Failure } from "../../../core/index.ts";
import type { ImageProgress } from "../runtime.ts";
import { type Engine, EngineError, engineFailure, unless } from "./engine.ts";
import { LayerProgress } from "./layer-progress.ts";
import { readProgress } from "./progress-lines.ts";

export interface EngineImage {
  /** As containers are made of it: a reference may point elsewhere a moment later. */
  readonly id: string;
  readonly volumes: readonly string[];
}

interface InspectedImage {
  readonly Id: string;
  readonly Config?: { readonly Volumes?: Readonly<Record<string, object>> | null } | null;
}

/** Compressed, as it travels. A guest chooses the image, and the disk is the owner's. */
export const MAX_PULL_BYTES = 4 * 1024 ** 3;

export class Images {
  readonly #engine: Engine;
  readonly #maxBytes: number;

  constructor(engine: Engine, maxBytes = MAX_PULL_BYTES) {
    this.#engine = engine;
    this.#maxBytes = maxBytes;
  }

  async find(reference: string, signal: AbortSignal): Promise<EngineImage | undefined> {
    const call = { method: "GET", path: `/images/${fullReference(reference)}/json` } as const;
    const found = await unless(404, undefined, this.#engine.ask<InspectedImage>(call, signal));
    return found && { id: found.Id, volumes: Object.keys(found.Config?.Volumes ?? {}) };
  }

  /** @throws {Failure} bad-image, not-found, too-large, disk-full, runtime-failed */
  async ensure(reference: string, note: (progress: ImageProgress) => void, signal: AbortSignal): Promise<EngineImage> {
    const here = await this.#explained(reference, this.find(reference, signal));
    if (here !== undefined) return here;
    await this.#explained(reference, this.#pull(reference, note, signal));
    const pulled = await this.find(reference, signal);
    if (pulled === undefined)
      throw new Failure("runtime-failed", `the engine pulled "${reference}" and does not have it`);
    return pulled;
  }

  async #pull(reference: string, note: (progress: ImageProgress) => void, signal: AbortSignal): Promise<void> {
    const query = { fromImage: fullReference(reference) };
    const answer = await this.#engine.stream({ method: "POST", path: "/images/create", query }, signal);
    const layers = new LayerProgress(reference);
    await readProgress(
      answer,
      (line) => {
        const progress = layers.take(line);
        if (layers.bytes > this.#maxBytes) throw tooLarge(reference, this.#maxBytes);
        if (progress !== undefined) note(progress);
      },
      signal,
    );
  }

  async #explained<T>(reference: string, work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (error) {
      throw imageFailure(error, reference);
    }
  }
}

/** `debian` is `debian:latest`: without a tag an engine pulls every tag there is. */
export function fullReference(reference: string): string {
  const last = reference.slice(reference.lastIndexOf("/") + 1);
  return last.includes(":") || last.includes("@") ? reference : `${reference}:latest`;
}

const UNKNOWN = /not found|manifest unknown|name unknown|access denied|no such image|unauthorized|denied:/iu;
const MALFORMED = /invalid reference|invalid tag|repository name must/iu;

function imageFailure(error: unknown, reference: string): unknown {
  if (!(error instanceof EngineError)) return error;
  if (MALFORMED.test(error.message) || error.status === 400) {
    return new Failure("bad-image", `not the name of an image: "${reference}"`, { cause: error });
  }
  if (error.status === 404 || UNKNOWN.test(error.message)) {
    return new Failure("not-found", `there is no image "${reference}", or it is not public`, {
      cause: error,
      hint: "write it as in `debian:bookworm` or `ghcr.io/owner/name:tag`",
    });
  }
  return engineFailure(error, `pull "${reference}"`);
}

function tooLarge(reference: string, maxBytes: number): Failure {
  return new Failure("too-large", `the image "${reference}" is larger than ${Math.floor(maxBytes / 1024 ** 3)} GiB`);
}
