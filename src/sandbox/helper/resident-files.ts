/** Our own files that go into the helper: the resident as one file of plain JavaScript, and the packages it loads. */

import { execFile } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import { findPackageJSON } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { oneFile } from "./one-file.ts";

/** From the helper's root; content is what is written. */
export interface HelperFile {
  readonly path: string;
  readonly content: Buffer;
}

const run = promisify(execFile);
const RESIDENT = fileURLToPath(new URL("../resident/", import.meta.url));

/** What tar-stream and node-pty load in Node; their other dependencies are for other engines. */
const TAR = ["tar-stream", "streamx", "b4a", "fast-fifo", "events-universal", "text-decoder"];
const TERMINAL = ["@lydell/node-pty", `@lydell/node-pty-${process.platform}-${process.arch}`];
const LOADED = /(?:\.js|\.node|^package\.json)$/u;

export async function residentFiles(signal: AbortSignal): Promise<readonly HelperFile[]> {
  const packages = [...TAR, ...TERMINAL].map((name) => packageFiles(name));
  return (await Promise.all([residentSources(signal), ...packages])).flat();
}

/** The path of the binding inside a list of files: its libraries are needed too. */
export function bindingPath(): string {
  return join(packageFolder(TERMINAL[1] ?? ""), "pty.node");
}

/** As they are where P2PRC is installed; without their types where it runs from its sources. */
async function residentSources(signal: AbortSignal): Promise<readonly HelperFile[]> {
  const names = (await readdir(RESIDENT)).filter((name) => /(?<!\.test|\.d)\.(?:ts|js)$/u.test(name)).sort();
  const sources = await Promise.all(names.map((name) => readFile(join(RESIDENT, name), "utf8")));
  const plain = names.some((name) => name.endsWith(".ts")) ? await withoutTypes(sources, signal) : sources;
  const modules = names.map((name, at) => ({ name: name.replace(/\.[tj]s$/u, ""), source: plain[at] ?? "" }));
  return [
    { path: "resident/main.js", content: Buffer.from(oneFile(modules, "main")) },
    { path: "resident/package.json", content: Buffer.from('{"type":"commonjs"}\n') },
  ];
}

/** In a process of its own: Node warns of the tool, and would do so to whoever started us. */
async function withoutTypes(sources: readonly string[], signal: AbortSignal): Promise<readonly string[]> {
  const child = run(process.execPath, ["--disable-warning=ExperimentalWarning", "--eval", STRIP], {
    signal,
    maxBuffer: 16 * 1024 * 1024,
  });
  child.child.stdin?.on("error", () => {}); // it ended early: how, is what is awaited
  child.child.stdin?.end(JSON.stringify(sources));
  return JSON.parse((await child).stdout) as readonly string[];
}

const STRIP = `
  const { stripTypeScriptTypes } = require("node:module");
  const sources = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
  process.stdout.write(JSON.stringify(sources.map((source) => stripTypeScriptTypes(source))));
`;

async function packageFiles(name: string): Promise<readonly HelperFile[]> {
  const folder = packageFolder(name);
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = entries
    .filter((entry) => entry.isFile() && LOADED.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .filter((path) => !path.startsWith("node_modules/"));
  return await Promise.all(
    paths.sort().map(async (path) => ({
      path: `node_modules/${name}/${path}`,
      content: await readFile(join(folder, path)),
    })),
  );
}

function packageFolder(name: string): string {
  const found = findPackageJSON(name, import.meta.url);
  if (found === undefined) throw new Error(`the package ${name} is not installed`);
  return dirname(found);
}
