/** The image of a sandbox that names none: built by the engine from `images/default/Dockerfile` when it is first wanted. */

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { VERSION } from "../../../core/index.ts";
import type { ImageProgress } from "../runtime.ts";
import { type Engine, engineFailure } from "./engine.ts";
import { readProgress } from "./progress-lines.ts";

export const DEFAULT_IMAGE = `p2prc/default:${VERSION}`;
/** As far from `dist/` as from `src/`. */
export const DOCKERFILE = join(import.meta.dirname, "../../../../images/default/Dockerfile");

export interface ImageRecipe {
  readonly name: string;
  /** A path of this machine. */
  readonly dockerfile: string;
}

/** @throws {Failure} runtime-failed, disk-full */
export async function buildImage(
  engine: Engine,
  { name, dockerfile, note }: ImageRecipe & { readonly note: (progress: ImageProgress) => void },
  signal: AbortSignal,
): Promise<void> {
  const { pack } = await import("tar-stream");
  const tar = pack();
  tar.entry({ name: "Dockerfile" }, await readFile(dockerfile));
  tar.finalize();
  try {
    const call = { method: "POST", path: "/build", query: { t: name, rm: true, forcerm: true } } as const;
    const answer = await engine.stream(call, signal, Readable.from(tar));
    await readProgress(
      answer,
      ({ stream = "" }) => {
        const [, step, all] = /^step (\d+)\/(\d+)/iu.exec(stream) ?? [];
        if (step === undefined) return;
        const layers = { done: Number(step) - 1, all: Number(all) };
        note({ image: name, layers, bytes: { done: 0, all: 0 } });
      },
      signal,
    );
  } catch (error) {
    throw engineFailure(error, `build the image "${name}"`);
  }
}
