/** An image that this machine's own Docker or Podman has, as an archive. */

import type { Readable } from "node:stream";
import { Failure } from "../../../core/index.ts";
import { Engine, EngineError } from "../../runtime/docker/engine.ts";
import { engineSockets, type Environment } from "../../runtime/docker/find-engine.ts";

export interface EngineSourceDeps {
  readonly environment: Environment;
  /** Bytes that were read. */
  readonly note: (bytes: number) => void;
}

export interface EngineArchive extends AsyncDisposable {
  readonly content: Readable;
}

/** Of the first engine that has it. @throws {Failure} not-found, not-supported */
export async function engineArchive(
  { environment }: EngineSourceDeps,
  reference: string,
  signal: AbortSignal,
): Promise<EngineArchive> {
  let answered = false;
  for (const socket of engineSockets(environment)) {
    try {
      const engine = await Engine.open(socket);
      // It is encoded as a whole: engines take names with slashes so.
      const path = `/images/${encodeURIComponent(reference)}/get`;
      await engine.ask({ method: "GET", path: `/images/${encodeURIComponent(reference)}/json` }, signal);
      const content = await engine.stream({ method: "GET", path }, signal);
      return { content, [Symbol.asyncDispose]: async () => void content.destroy() };
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof EngineError) answered = true;
      else if (!(error instanceof Failure)) throw error;
    }
  }
  if (answered)
    throw new Failure("not-found", `the engine of this machine has no image "${reference}"`, {
      hint: "`docker images` lists those it has; a file is named with its folder: `./image.tar`",
    });
  throw new Failure("not-found", `there is no file "${reference}" here, and no container engine answers`, {
    hint: "push an OCI layout or an archive, or start Docker or Podman",
  });
}
