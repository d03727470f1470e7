/** The calls about images that one has pushed to other nodes. `node` is what a person types. */

import type { HeldImage, ImagesReply, PushProgress, PushReply, PushRequest } from "../sandbox/index.ts";
import { askJson, askSteps, type Step } from "./exchange.ts";
import type { Transport } from "./transport.ts";

export interface ImageCalls {
  /** Sends what the node misses of an image of this machine. */
  pushImage(node: string, request: PushRequest, signal: AbortSignal): AsyncIterable<Step<PushProgress, PushReply>>;
  images(node: string, signal: AbortSignal): Promise<ImagesReply>;
  removeImage(node: string, name: string, signal: AbortSignal): Promise<HeldImage>;
}

export function imageCalls(transport: Transport): ImageCalls {
  const path = (node: string) => `/v1/nodes/${encodeURIComponent(node)}/images`;
  return {
    pushImage: (node, body, signal) => askSteps(transport, { method: "POST", path: path(node), body }, signal),
    images: (node, signal) => askJson(transport, { method: "GET", path: path(node) }, signal),
    removeImage: (node, name, signal) =>
      askJson(transport, { method: "DELETE", path: `${path(node)}?name=${encodeURIComponent(name)}` }, signal),
  };
}
