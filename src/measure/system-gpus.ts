/**
 * The GPUs of macOS and Windows, which their own system names; on Linux the vendors' tools do.
 * `systeminformation` asks the right tool of each system; it is loaded only where it is needed.
 */

import { platform } from "node:os";
import type { FoundGpu } from "./nvidia.ts";

const MIB = 1_048_576;

export async function findSystemGpus(): Promise<readonly FoundGpu[]> {
  if (platform() !== "darwin" && platform() !== "win32") return [];
  const { graphics } = await import("systeminformation");
  const { controllers } = await graphics();
  return controllers
    .filter(({ model }) => model !== "" && !/basic (render|display)/i.test(model))
    .map(({ model, vram }) => ({
      vendor: "other",
      model,
      memoryBytes: vram !== null && vram > 0 ? vram * MIB : undefined,
    }));
}
