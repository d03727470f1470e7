/**
 * Unpacks each layer of an image once, to nowhere, before anything is made of it: it must be what its configuration says, and
 * not grow beyond what its guest may have.
 */

import { createHash } from "node:crypto";
import { Failure, formatSize } from "../../core/index.ts";
import { openLayer } from "../runtime/bubblewrap/images/layout.ts";
import type { Part } from "./manifest.ts";

export interface LayerCheck {
  /** Where the parts lie. */
  readonly folder: string;
  readonly layers: readonly Part[];
  /** The digests of the layers as they are unpacked. */
  readonly diffIds: readonly string[];
  /** Of all layers together, unpacked. */
  readonly maxBytes: number;
  readonly note: (done: number) => void;
}

/** @throws {Failure} bad-image, too-large */
export async function checkLayers(check: LayerCheck, signal: AbortSignal): Promise<void> {
  const { folder, layers, diffIds, maxBytes, note } = check;
  let left = maxBytes;
  for (const [index, layer] of layers.entries()) {
    note(index);
    const { bytes, digest } = await measure({ folder, layer, maxBytes: left }, signal);
    left -= bytes;
    if (left < 0)
      throw new Failure("too-large", `the image takes more than ${formatSize(maxBytes)} when it is unpacked`);
    if (digest !== diffIds[index])
      throw new Failure("bad-image", `a layer is not what the image's configuration says: ${layer.digest}`);
  }
  note(layers.length);
}

interface Measuring {
  readonly folder: string;
  readonly layer: Part;
  readonly maxBytes: number;
}

/** Stops as soon as it is more than `maxBytes`: a few megabytes may be made to unpack to any number of them. */
async function measure(
  { folder, layer, maxBytes }: Measuring,
  signal: AbortSignal,
): Promise<{ readonly bytes: number; readonly digest: string }> {
  const hash = createHash("sha256");
  let bytes = 0;
  const content = openLayer(folder, layer);
  try {
    for await (const chunk of content as AsyncIterable<Buffer>) {
      signal.throwIfAborted();
      bytes += chunk.length;
      if (bytes > maxBytes) break;
      hash.update(chunk);
    }
  } catch (error) {
    signal.throwIfAborted();
    throw error instanceof Failure ? error : new Failure("bad-image", "a layer cannot be unpacked", { cause: error });
  } finally {
    content.destroy();
  }
  return { bytes, digest: `sha256:${hash.digest("hex")}` };
}
