/** How far a pull is, from what an engine says of each layer. */

import type { ImageProgress } from "../runtime.ts";
import type { ProgressLine } from "./progress-lines.ts";

interface Layer {
  done: number;
  all: number;
  complete: boolean;
}

/** More than any real image has: what is said beyond is not counted. */
const MAX_LAYERS = 1_024;
const DONE = new Set(["Already exists", "Pull complete"]);
const LOADED = new Set(["Verifying Checksum", "Download complete", "Extracting"]);

export class LayerProgress {
  readonly #image: string;
  readonly #layers = new Map<string, Layer>();

  constructor(image: string) {
    this.#image = image;
  }

  /** Of all layers that are being fetched, as far as their sizes are known. */
  get bytes(): number {
    return this.#sum((layer) => layer.all);
  }

  /** Undefined: the line says nothing of a layer. */
  take(line: ProgressLine): ImageProgress | undefined {
    const { id, status = "Pulling from" } = line;
    const layer = id === undefined || status.startsWith("Pulling from") ? undefined : this.#layer(id);
    if (layer === undefined) return undefined;
    if (status === "Downloading") noteDownload(layer, line);
    if (LOADED.has(status) || DONE.has(status)) layer.done = layer.all;
    layer.complete ||= DONE.has(status);
    return {
      image: this.#image,
      layers: { done: this.#sum(({ complete }) => (complete ? 1 : 0)), all: this.#layers.size },
      bytes: { done: this.#sum(({ done }) => done), all: this.bytes },
    };
  }

  #layer(id: string): Layer | undefined {
    const known = this.#layers.get(id);
    if (known !== undefined || this.#layers.size >= MAX_LAYERS) return known;
    const layer = { done: 0, all: 0, complete: false };
    this.#layers.set(id, layer);
    return layer;
  }

  #sum(measure: (layer: Layer) => number): number {
    return [...this.#layers.values()].reduce((sum, layer) => sum + measure(layer), 0);
  }
}

function noteDownload(layer: Layer, { progressDetail: { current = layer.done, total = 0 } = {} }: ProgressLine): void {
  layer.done = current;
  layer.all = Math.max(total, layer.all, current);
}
