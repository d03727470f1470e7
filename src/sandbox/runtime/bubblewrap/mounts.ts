/**
 * Where bubblewrap finds what it shows inside.
 *
 * An ordinary user's daemon hands it the paths as they are. A root daemon's home is closed to the unprivileged users that
 * its sandboxes run as: there, what a sandbox needs is mounted over /tmp in the sandbox's own mount namespace, before
 * bubblewrap looks at it.
 */

import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { runTool } from "./run-tool.ts";
import type { SandboxFolder } from "./sandbox-folder.ts";
import type { Tools } from "./tools.ts";

export interface MountWords {
  readonly folder: SandboxFolder;
  readonly helper: string;
  readonly user: { readonly uid: number };
  readonly tools: Tools;
}

/** Bubblewrap itself begins by mounting over /tmp: it is there wherever bubblewrap works. */
const OVER = "/tmp";

export interface Seen {
  readonly layer: string;
  readonly helper: string;
  readonly image: string;
}

/** The paths as bubblewrap finds them. */
export function seenFrom({ folder, helper, user }: MountWords): Seen {
  if (user.uid !== 0) return { layer: folder.layer, helper, image: join(folder.mounts, "image") };
  const over = (path: string) => join(OVER, path);
  return { layer: over("layer"), helper: over("mounts/helper"), image: over("mounts/image") };
}

/** @param pid what waits in the mount namespace */
export async function bindForOthers(pid: number, words: MountWords, signal: AbortSignal): Promise<void> {
  const { folder, helper, user, tools } = words;
  if (user.uid !== 0) return;
  const mounted = join(folder.mounts, "helper");
  await mkdir(mounted, { recursive: true, mode: 0o711 });
  const enter = [tools.nsenter, "--target", String(pid), "--mount", "--", tools.mount ?? "mount"] as const;
  // The first before the second, which may hide the path to what the first needs.
  await runTool([...enter, "--bind", helper, mounted], {}, signal);
  await runTool([...enter, "--rbind", folder.path, OVER], {}, signal);
}
