/**
 * What of the machine's graphics cards a sandbox sees: the nodes of those that it was granted, what all of a driver's cards
 * share, and in an image the driver's libraries, which must be of the kernel's own version.
 */

import { readdir, readFile } from "node:fs/promises";
import { Failure } from "../../../core/index.ts";
import type { GpuDevice } from "../runtime.ts";
import { findTool, runTool } from "./run-tool.ts";

export interface GpuView {
  readonly devices: readonly string[];
  readonly libraries: readonly string[];
}

export interface GpuSources {
  /** Of each card as the driver tells it (`/proc/driver/nvidia/gpus/…/information`). */
  readonly cards: readonly string[];
  /** What `ldconfig -p` prints. */
  readonly libraries: string;
}

/** Without them no card can be spoken to. `nvidia-modeset` is for screens: nobody inside has any. */
const SHARED = ["/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools"];
/** Of the driver; what is built on them (cuDNN and the like) comes with the image. */
const DRIVER_LIBRARY = /^lib(?:cuda|cudadebugger|nvcuvid|nvoptix|nvidia-[a-z0-9-]+)\.so(?:\.[0-9.]+)?$/u;

export async function gpuSources(signal: AbortSignal): Promise<GpuSources> {
  const folder = "/proc/driver/nvidia/gpus";
  const names = await readdir(folder).catch(() => []); // no such driver
  const cards = await Promise.all(names.map((name) => readFile(`${folder}/${name}/information`, "utf8")));
  const ldconfig = await findTool("ldconfig");
  return { cards, libraries: ldconfig === undefined ? "" : await runTool([ldconfig, "-p"], {}, signal) };
}

/** @throws {Failure} not-supported */
export function viewGpus(gpus: readonly GpuDevice[], { cards, libraries }: GpuSources): GpuView {
  if (gpus.length === 0) return { devices: [], libraries: [] };
  const other = gpus.find(({ vendor }) => vendor !== "nvidia");
  if (other !== undefined) {
    throw new Failure("not-supported", `"${other.model}" cannot be given to a sandbox of bubblewrap`, {
      hint: "install Docker on that machine for graphics cards that are not NVIDIA's",
    });
  }
  const minors = minorsByUuid(cards);
  const own = gpus.map(({ uuid, index }) => `/dev/nvidia${minors.get(uuid) ?? index}`);
  return { devices: [...own, ...SHARED], libraries: driverLibraries(libraries) };
}

/** The number in the node's name is the driver's, and not always that of the vendor's tool. */
function minorsByUuid(cards: readonly string[]): ReadonlyMap<string, number> {
  const found = cards.flatMap((text): [string, number][] => {
    const uuid = /^GPU UUID:\s*(\S+)/mu.exec(text)?.[1];
    const minor = /^Device Minor:\s*(\d+)/mu.exec(text)?.[1];
    return uuid === undefined || minor === undefined ? [] : [[uuid, Number(minor)]];
  });
  return new Map(found);
}

/** Lines `name (kind) => /path`. */
function driverLibraries(text: string): readonly string[] {
  const paths = text.split("\n").flatMap((line) => {
    const [, name = "", path = ""] = /^\s*(\S+) \(.*\) => (\/\S+)$/u.exec(line) ?? [];
    return DRIVER_LIBRARY.test(name) ? [path] : [];
  });
  return [...new Set(paths)].sort();
}
