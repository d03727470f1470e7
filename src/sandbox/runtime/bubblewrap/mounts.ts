/**
 * Where bubblewrap finds what it shows inside.
 *
 * An ordinary user's daemon hands it the paths as they are. A root daemon's home is closed to the unprivileged users that
 * its sandboxes run as: there, what a sandbox needs is mounted over /tmp in the sandbox's own mount namespace, before
 * bubblewrap looks at it.
 */

import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { Failure } from "../../../core/index.ts";
import type { Image } from "./images/image-store.ts";
import { runTool } from "./run-tool.ts";
import type { SandboxFolder } from "./sandbox-folder.ts";
import type { Tools } from "./tools.ts";

export interface MountWords {
  readonly folder: SandboxFolder;
  readonly helper: string;
  readonly user: { readonly uid: number };
  readonly image: Image | undefined;
  /** Of the image. */
  readonly readOnly: boolean;
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
export function seenFrom({ folder, helper, user }: Pick<MountWords, "folder" | "helper" | "user">): Seen {
  if (user.uid !== 0) return { layer: folder.layer, helper, image: seenAt(folder) };
  const over = (path: string) => join(OVER, path);
  return { layer: over("layer"), helper: over("mounts/helper"), image: over("mounts/image") };
}

/** @param pid what waits in the mount namespace */
export async function mountFor(pid: number, words: MountWords, signal: AbortSignal): Promise<void> {
  const { folder, helper, user, tools, image } = words;
  if (image !== undefined) await mountImage(pid, { ...words, image }, signal);
  if (user.uid !== 0) return;
  const mounted = join(folder.mounts, "helper");
  await mkdir(mounted, { recursive: true, mode: 0o711 });
  // The first before the second, which may hide the path to what the first needs; in one program, since each costs a fork of
  // this whole process.
  const script = '"$1" --bind "$2" "$3" && exec "$1" --rbind "$4" "$5"';
  const [nsenter, ...into] = within(pid, tools);
  const paths = [tools.mount ?? "mount", helper, mounted, folder.path, OVER];
  await runTool([nsenter, ...into, "/bin/sh", "-c", script, "p2prc", ...paths], {}, signal);
}

/** What is below goes with it. */
export async function mountOver(
  pid: number,
  path: string,
  { tools, signal }: { readonly tools: Tools; readonly signal: AbortSignal },
): Promise<void> {
  await runTool([...enter(pid, tools), "--rbind", path, OVER], {}, signal);
}

/**
 * In `strict` the image as it is, since nobody there may write. Else what is written goes into the layer, by overlayfs where
 * the kernel lets an ordinary user have it (5.11 and later), or in a copy of the whole image.
 */
async function mountImage(
  pid: number,
  { folder, image, tools, user, readOnly }: MountWords & { readonly image: Image },
  signal: AbortSignal,
): Promise<void> {
  const at = seenAt(folder);
  await mkdir(at, { recursive: true, mode: 0o755 });
  // Mounting as root of its own user namespace, whatever we are outside, would be enough; root's own home is closed to it.
  const into = user.uid === 0 ? enter(pid, tools) : enter(pid, tools, "--user", "--preserve-credentials");
  if (readOnly) {
    await runTool([...into, "--bind", image.root, at], {}, signal);
    return;
  }
  const upper = join(folder.layer, "upper");
  const own = user.uid === 0 ? "" : ",userxattr";
  const options = `lowerdir=${image.root},upperdir=${upper},workdir=${join(folder.layer, "work")}${own}`;
  try {
    if (/[,:\\]/u.test(folder.path)) throw new Failure("runtime-failed", "overlayfs cannot be told of such a path");
    await runTool([...into, "-t", "overlay", "overlay", "-o", options, at], {}, signal);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    const copy = ["/bin/cp", "--archive", "--reflink=auto", "--", `${image.root}/.`, upper] as const;
    // Inside the namespace, so that what belongs to its users stays theirs.
    const [nsenter, ...words] = into.slice(0, -1);
    await runTool(user.uid === 0 || nsenter === undefined ? copy : [nsenter, ...words, ...copy], {}, signal);
    await runTool([...into, "--bind", upper, at], {}, signal);
  }
}

function enter(pid: number, tools: Tools, ...more: readonly string[]): readonly [string, ...string[]] {
  return [...within(pid, tools, ...more), tools.mount ?? "mount"];
}

function within(pid: number, { nsenter }: Tools, ...more: readonly string[]): readonly [string, ...string[]] {
  return [nsenter, "--target", String(pid), "--mount", ...more, "--"];
}

function seenAt(folder: SandboxFolder): string {
  return join(folder.mounts, "image");
}
