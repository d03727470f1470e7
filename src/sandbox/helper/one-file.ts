/**
 * Makes one file of the resident's modules, so that it is up sooner: Node takes a millisecond for each module that it loads,
 * most of it waiting. Each becomes a function in a CommonJS script, called by the first that imports it.
 *
 * It knows the few forms of import and export that those files use, and refuses any other.
 */

export interface Module {
  /** Without its ending: `main` of `main.js`. */
  readonly name: string;
  /** Plain JavaScript. */
  readonly source: string;
}

const IMPORT = /^import\s*\{([^}]*)\}\s*from\s*"([^"]+)";?/gmu;
const LAZY_IMPORT = /\bimport\("\.\/([^"]+?)\.[jt]s"\)/gu;
const EXPORT = /^export ((?:async function|function|class|const)\*? ?)(\w+)/gmu;
const LEFT_OVER = /^(?:import|export)\b.*|\bimport\.meta\b.*/mu;

/** @param first the module to begin with @throws {Error} a form of import or export that is not known here */
export function oneFile(modules: readonly Module[], first: string): string {
  const functions = modules.map(
    ({ name, source }) => `__modules[${JSON.stringify(name)}] = ${asFunction(name, source)};\n`,
  );
  return `${HEAD}${functions.join("")}__load(${JSON.stringify(first)});\n`;
}

/** Names that none of theirs hides. */
const HEAD = `"use strict";
const __url = require("node:url").pathToFileURL(__filename).href;
const __modules = {};
const __loaded = {};
function __load(name) {
  if (__loaded[name] === undefined) __modules[name]((__loaded[name] = {}));
  return __loaded[name];
}
`;

function asFunction(name: string, source: string): string {
  const exported: string[] = [];
  const body = source
    .replace(IMPORT, (_, names: string, from: string) => `const {${renamed(names)}} = ${loading(from)};`)
    .replace(LAZY_IMPORT, (_, from: string) => `(async () => __load(${JSON.stringify(from)}))()`)
    .replaceAll("import.meta.url", "__url")
    .replace(EXPORT, (_, kind: string, exportedName: string) => {
      exported.push(exportedName);
      return `${kind}${exportedName}`;
    })
    .replace(/^export \{\};?/gmu, "");
  const left = LEFT_OVER.exec(body)?.[0];
  if (left !== undefined) throw new Error(`${name} cannot be put into one file with the others: ${left}`);
  return `(__exports) => {\n${body}\nObject.assign(__exports, { ${exported.join(", ")} });\n}`;
}

/** As destructuring has it. */
function renamed(names: string): string {
  return names.replaceAll(/\bas\b/gu, ":");
}

function loading(from: string): string {
  const own = /^\.\/(.+)\.[jt]s$/u.exec(from)?.[1];
  return own === undefined ? `require(${JSON.stringify(from)})` : `__load(${JSON.stringify(own)})`;
}
