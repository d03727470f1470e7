/**
 * dependency-cruiser, twice: every import against the floor plan, and what the command line loads.
 *
 * It calls it success when it could read nothing (with TypeScript 7 it cruises 0 modules), so the
 * modules that it says it read are held against the files that there are.
 */

import { existsSync, globSync } from "node:fs";
import { join } from "node:path";
import { type Outcome, root, run } from "./run.ts";

export async function arrows(cwd: string = root): Promise<Outcome> {
  const folders = ["src", "test", "bench", "tools"].filter((folder) => existsSync(join(cwd, folder)));
  const every = await cruise(".dependency-cruiser.cjs", folders, cwd);
  const light = await cruise("tools/lint/light.dependency-cruiser.cjs", ["src"], cwd);
  return { ok: every.ok && light.ok, output: every.output + light.output };
}

async function cruise(config: string, folders: readonly string[], cwd: string): Promise<Outcome> {
  const { ok, output } = await run(["depcruise", "--config", config, ...folders], cwd);
  const files = folders.flatMap((folder) =>
    globSync(`${folder}/**/*.ts`, { cwd, exclude: ["tools/node/**", "**/*.d.ts"] }),
  );
  const read = Number(/(\d+) modules, \d+ dependencies cruised/.exec(output)?.[1] ?? 0);
  if (read >= files.length) return { ok, output };
  const why = `dependency-cruiser read ${read} modules of ${files.length} files: is there a TypeScript 6 for it?\n`;
  return { ok: false, output: output + why };
}
