/**
 * The end of a sandbox: every process of it, its control group, its folder. Whatever of it is gone already, or was never
 * made, is passed over; so it clears away what a daemon left that was killed between any two steps of making one.
 */

import type { Clock } from "../../../base/index.ts";
import { Failure } from "../../../core/index.ts";
import { type Cgroups, sendSignal } from "./cgroup.ts";
import { runAs } from "./launch.ts";
import { processTree } from "./no-cgroups.ts";
import { isAlive, killProcess } from "./process-id.ts";
import { runTool } from "./run-tool.ts";
import type { SandboxFolder, SandboxRecord } from "./sandbox-folder.ts";
import type { Tools } from "./tools.ts";

export interface EndDeps {
  readonly clock: Clock;
  readonly tools: Tools;
  readonly cgroups: Cgroups;
}

/** A killed process is gone once the kernel has taken its memory back. */
const GONE_AFTER_MS = 10_000;
const LOOK_EVERY_MS = 3;

/** @throws {Failure} runtime-failed: something of it would not go */
export async function endSandbox(folder: SandboxFolder, deps: EndDeps, signal: AbortSignal): Promise<void> {
  const record = await folder.read();
  const started = deps.clock.now();
  while (!(await killAll(record, deps))) {
    if (deps.clock.now() - started > GONE_AFTER_MS) {
      throw new Failure("runtime-failed", `processes of the sandbox "${folder.id}" do not end`, {
        hint: "they wait for a disk or a device; try again",
      });
    }
    await deps.clock.sleep(LOOK_EVERY_MS, signal);
  }
  await removeTree(folder, record, { tools: deps.tools, signal });
}

/**
 * One that was started but not yet written down waits for a word that its daemon no longer says, and ends by itself.
 * @returns whether nothing of it lives any more
 */
async function killAll(record: SandboxRecord | undefined, { cgroups }: EndDeps): Promise<boolean> {
  const known = [record?.first, record?.monitor, record?.uplink].flatMap((id) => id ?? []);
  const alive = (await Promise.all(known.map(async (id) => ((await isAlive(id)) ? [id] : [])))).flat();
  // Without a control group the tree is all there is to know them by; with one, it costs little.
  const trees = await Promise.all(alive.map((id) => processTree(id.pid)));
  if (record !== undefined) await cgroups.kill(record.cgroup);
  for (const pid of trees.flat()) sendSignal(pid, "SIGKILL");
  await Promise.all(alive.map(killProcess));
  const gone = record === undefined || (await cgroups.remove(record.cgroup));
  return gone && alive.length === 0;
}

/** By a tool that walks folder by folder: those inside may have nested them deeper than any path can say. */
async function removeTree(
  { path, layer }: SandboxFolder,
  record: SandboxRecord | undefined,
  { tools, signal }: { readonly tools: Tools; readonly signal: AbortSignal },
): Promise<void> {
  if (record?.users.many === true && process.getuid?.() !== 0) {
    // Files of users that only a namespace with those users may remove.
    await runAs(record.users, { tools, argv: ["/bin/rm", "-rf", "--one-file-system", "--", layer] }, signal);
  }
  await runTool(["/bin/rm", "-rf", "--one-file-system", "--", path], {}, signal);
}
