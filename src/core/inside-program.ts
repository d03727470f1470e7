/**
 * How a program of ours is started in a sandbox: with the Node that every sandbox has at /.p2prc, and with its source as one
 * word, so that it is of our version whatever the node's is. Modules that it imports become `data:` URLs.
 */

import { readFile } from "node:fs/promises";
import { stripTypeScriptTypes } from "node:module";

const NODE = ["/.p2prc/lib/ld.so", "--library-path", "/.p2prc/lib", "/.p2prc/bin/node"];
/** A sandbox may have little memory, and most of what passes through is outside of the heap. */
const FLAGS = ["--max-old-space-size=96", "--max-semi-space-size=1", "--use-openssl-ca", "--input-type=module"];

/** @param module without its ending: it runs from its sources, or from what was made of them for the package */
export async function insideProgram(module: URL): Promise<readonly string[]> {
  const ending = import.meta.url.endsWith(".ts") ? ".ts" : ".js";
  return [...NODE, ...FLAGS, "--eval", await inlined(new URL(`${module.href}${ending}`))];
}

async function inlined(url: URL): Promise<string> {
  const source = withoutTypes(await readFile(url, "utf8"), url);
  const imported = [...new Set(Array.from(source.matchAll(IMPORT), ([, path]) => path ?? ""))];
  let whole = source;
  for (const path of imported) {
    const module = await inlined(new URL(path, url));
    whole = whole.replaceAll(`"${path}"`, `"data:text/javascript;base64,${Buffer.from(module).toString("base64")}"`);
  }
  return whole;
}

const IMPORT = / from "(\.\/[^"]+)"/gu;

/** Node warns that it may do this otherwise one day; nobody who meets it can do anything about that. */
function withoutTypes(source: string, { pathname }: URL): string {
  if (!pathname.endsWith(".ts")) return source;
  const warn = process.emitWarning.bind(process);
  process.emitWarning = () => undefined;
  try {
    return stripTypeScriptTypes(source);
  } finally {
    process.emitWarning = warn;
  }
}
