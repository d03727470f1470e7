/** Whether an engine can bound what a container writes: it alone knows (overlay2 on xfs with pquota, btrfs, zfs), so it is tried. */

import { type Engine, EngineError } from "./engine.ts";
import { labels, ourProgram } from "./words.ts";

const SIZE = String(64 * 1024 ** 2);

export async function hasStorageQuota(engine: Engine, image: string, signal: AbortSignal): Promise<boolean> {
  const about = { Image: image, Entrypoint: ourProgram("sh"), Labels: { [labels.role]: "helper" } };
  const body = { ...about, HostConfig: { StorageOpt: { size: SIZE } } };
  try {
    const made = await engine.ask<{ readonly Id: string }>(
      { method: "POST", path: "/containers/create", query: {}, body },
      signal,
    );
    await engine.ask({ method: "DELETE", path: `/containers/${made.Id}`, query: { force: true, v: true } }, signal);
    return true;
  } catch (error) {
    if (error instanceof EngineError) return false;
    throw error;
  }
}
