/** Images by reference or digest: those that are here already, and those that the engine pulls, with how far it is. */

import { randomBytes } from "node:crypto";
import { Failure } from "../../../core/index.ts";
import type { ImageProgress, PushedImage } from "../runtime.ts";
import { type Engine, type EngineCall, EngineError, engineFailure, unless } from "./engine.ts";
import { LayerProgress } from "./layer-progress.ts";
import { readProgress } from "./progress-lines.ts";
import { openRegistry } from "./registry.ts";

export interface EngineImage {
  /** As containers are made of it: a reference may point elsewhere a moment later. */
  readonly id: string;
  readonly volumes: readonly string[];
  /** Its own variables, as `NAME=VALUE`. */
  readonly env: readonly string[];
  /** Where it was pulled from, as `NAME@DIGEST`. */
  readonly digests: readonly string[];
}

interface InspectedImage {
  readonly Id: string;
  readonly RepoDigests?: readonly string[] | null;
  readonly Config?: {
    readonly Volumes?: Readonly<Record<string, object>> | null;
    readonly Env?: readonly string[] | null;
  } | null;
}

/** Compressed, as it travels. A guest chooses the image, and the disk is the owner's. */
export const MAX_PULL_BYTES = 4 * 1024 ** 3;

/** In its own API, of whose version 4 it wants to be told. */
const PODMAN_PULL = "/v4.0.0/libpod/images/pull";
/** A registry of ours (`registry.ts`) lives for one pull, at a path that nobody guesses. */
const PULLED_FROM_US = /^127\.0\.0\.1:\d+\/p2prc\/[0-9a-f]{32}@/u;
const WANTS_TLS = /server gave HTTP response to HTTPS client/u;

type Note = (progress: ImageProgress) => void;

interface Pulled {
  readonly reference: string;
  readonly note: Note;
}

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
    const { Volumes, Env } = found?.Config ?? {};
    const digests = found?.RepoDigests ?? [];
    return found && { id: found.Id, volumes: Object.keys(Volumes ?? {}), env: Env ?? [], digests };
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

  /** One that a guest pushed: its engine's name is the digest of its configuration, whatever it is called. */
  async ensurePushed(
    pushed: PushedImage,
    note: (progress: ImageProgress) => void,
    signal: AbortSignal,
  ): Promise<EngineImage> {
    const here = await this.#findPushed(pushed, signal);
    if (here !== undefined) return here;
    await using registry = await openRegistry(pushed, randomBytes(16).toString("hex"), signal);
    // Its size was held against the guest's grant when it was pushed.
    const all = new Images(this.#engine, Number.POSITIVE_INFINITY);
    const named = (progress: ImageProgress) => note({ ...progress, image: "the pushed image" });
    await this.#explained("the pushed image", all.#pullFromUs(registry.reference, named, signal));
    const pulled = await this.#findPushed(pushed, signal);
    if (pulled === undefined) throw new Failure("runtime-failed", "the engine pulled the image and does not have it");
    return pulled;
  }

  /**
   * Takes away the name that it got when it was pulled from here, and the image where it has no other: the owner may
   * have the same one. In use: it stays, and is let go of later. @throws {Failure} runtime-failed
   */
  async forget(pushed: PushedImage, signal: AbortSignal): Promise<void> {
    const image = await this.#findPushed(pushed, signal);
    for (const name of image?.digests.filter((each) => PULLED_FROM_US.test(each)) ?? []) {
      const removal = this.#engine.ask({ method: "DELETE", path: `/images/${name}` }, signal);
      await unless(404, undefined, removal).catch((error: unknown) => {
        throw engineFailure(error, "remove an image");
      });
    }
  }

  /** Engines that keep images as containerd does name them by their manifests. */
  async #findPushed({ config, digest }: PushedImage, signal: AbortSignal): Promise<EngineImage | undefined> {
    return (await this.find(config, signal)) ?? (await this.find(digest, signal));
  }

  async #pull(reference: string, note: Note, signal: AbortSignal): Promise<void> {
    const query = { fromImage: fullReference(reference) };
    await this.#follow({ method: "POST", path: "/images/create", query }, { reference, note }, signal);
  }

  /** Docker takes 127.0.0.1 without TLS. Podman has to be told, by a route of its own. */
  async #pullFromUs(reference: string, note: Note, signal: AbortSignal): Promise<void> {
    try {
      await this.#pull(reference, note, signal);
    } catch (error) {
      if (!(error instanceof EngineError) || !WANTS_TLS.test(error.message)) throw error;
      const call = { method: "POST", path: PODMAN_PULL, query: { reference, tlsVerify: false } } as const;
      await this.#follow(call, { reference, note }, signal);
    }
  }

  async #follow(call: EngineCall, { reference, note }: Pulled, signal: AbortSignal): Promise<void> {
    const answer = await this.#engine.stream(call, signal);
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
