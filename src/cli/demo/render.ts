/** The end of the demo: a picture, cut into strips that sandboxes on all nodes draw, and joined here. */

import { mkdtemp, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { encodePng } from "./png.ts";
import { rayTracer, scene } from "./ray-tracer.ts";
import type { Stage } from "./stage.ts";

const PROGRAM = "ray-tracer.js";
/** The Node that every sandbox has, whatever its image. */
const NODE = ["/.p2prc/lib/ld.so", "--library-path", "/.p2prc/lib", "/.p2prc/bin/node"];

/** @param count of sandboxes @returns where the picture is: all that stays of the play */
export async function render(stage: Stage, on: string, count: number): Promise<string> {
  await writeFile(join(stage.folder, PROGRAM), rayTracer());
  const many = ["--count", String(count), "--near", "--group", "farm", "--name", "tile"];
  await stage.play({ on, words: ["touch", ...many, "--memory", "512M", "--network", "none"] });
  await stage.play({ on, words: ["cp", PROGRAM, "farm:"] });
  const task = [...NODE, PROGRAM, "{in}", "{out}"];
  const strips = ["--args", `{1..${scene.strips}}`, "--out", "strips/{in}"];
  await stage.play({ on, words: ["map", "--on", "farm", ...strips, "--", ...task] });
  await stage.play({ on, words: ["rm", "farm"] });
  return await joined(stage.folder);
}

async function joined(folder: string): Promise<string> {
  const names = Array.from({ length: scene.strips }, (_, at) => String(at + 1));
  const strips = await Promise.all(names.map((name) => readFile(join(folder, "strips", name))));
  const path = join(await mkdtemp(join(tmpdir(), "p2prc-picture-")), "picture.png");
  await writeFile(path, encodePng({ width: scene.width, height: scene.height, points: Buffer.concat(strips) }));
  return path;
}
