/** Whether a node's offer covers a wish, and in words what is missing. Pure; the node itself decides when it is asked. */

import { cleanText, formatSize } from "../../core/index.ts";
import type { CreateRequest, Offer } from "../contract.ts";
import { isImageAllowed } from "../lease/image-list.ts";

export type Wish = Omit<CreateRequest, "id" | "sshKey" | "name">;

/** Undefined: it fits. */
export function whyNot(wish: Wish, offer: Offer): string | undefined {
  return whyNoRoom(wish, offer) ?? whyNoProfile(wish, offer) ?? whyNoImage(wish, offer) ?? whyNoGpu(wish, offer);
}

function whyNoRoom({ cpus = 0, memoryBytes = 0, diskBytes = 0 }: Wish, { free }: Offer): string | undefined {
  if (free.sandboxes < 1) return "has no room for one more sandbox";
  if (cpus > free.cpus) return `${cpus} cores are wanted, ${roundCores(free.cpus)} are free`;
  if (memoryBytes > free.memoryBytes) return tooMuch(memoryBytes, free.memoryBytes, "memory");
  return diskBytes > free.diskBytes ? tooMuch(diskBytes, free.diskBytes, "disk") : undefined;
}

function tooMuch(wanted: number, free: number, word: string): string {
  return `${formatSize(wanted)} of ${word} are wanted, ${formatSize(wholeMebibytes(free))} are free`;
}

function whyNoProfile({ profile }: Wish, { profiles }: Offer): string | undefined {
  return profile === undefined || profiles.includes(profile) ? undefined : `cannot do the profile ${profile}`;
}

function whyNoImage({ image }: Wish, offer: Offer): string | undefined {
  if (image === undefined) return undefined;
  if (isImageAllowed(image, offer.allowedImages)) return undefined;
  return offer.images === "archives"
    ? `takes no image from a registry, and has no "${image}"`
    : `its owner does not allow the image "${image}"`;
}

function whyNoGpu({ gpu: wanted }: Wish, { gpus }: Offer): string | undefined {
  if (wanted === undefined) return undefined;
  if (gpus.length === 0) return "has no GPU to lend";
  const { count, memoryBytes = 0, model = "" } = wanted;
  const named = gpus.filter((gpu) => gpu.model.toLowerCase().includes(model.toLowerCase()));
  const found = gpus.map((gpu) => cleanText(gpu.model, 60)).join(", ");
  if (named.length === 0) return `has no ${cleanText(model, 60)} but ${found}`;
  const large = named.filter((gpu) => gpu.memoryBytes >= memoryBytes);
  if (large.length === 0)
    return `a GPU with ${formatSize(memoryBytes)} is wanted, the largest has ${formatSize(Math.max(...named.map((gpu) => gpu.memoryBytes)))}`;
  return large.length < count ? `${count} GPUs are wanted, ${large.length} are free` : undefined;
}

function roundCores(cores: number): number {
  return Math.floor(cores * 100) / 100;
}

function wholeMebibytes(bytes: number): number {
  return Math.floor(bytes / 2 ** 20) * 2 ** 20;
}
