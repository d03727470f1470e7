/**
 * Whether node_modules holds what package-lock.json names: exit code 0 or 1. With `dev` the
 * devDependencies count too. It believes the list that npm leaves behind when it has finished.
 */

import { readFileSync } from "node:fs";

const dev = process.argv[2] === "dev";
const wanted = read("../package-lock.json");
const installed = read("../node_modules/.package-lock.json");

const missing = Object.entries(wanted)
  .filter(
    ([path, entry]) => path !== "" && entry.optional !== true && (dev || (entry.dev ?? entry.devOptional) !== true),
  )
  .filter(([path, { version, integrity }]) => {
    const there = installed[path];
    return there === undefined || there.version !== version || there.integrity !== integrity;
  });
process.exitCode = missing.length === 0 ? 0 : 1;

/** The packages of a lock file; none where there is no such file, or half of one. */
function read(file) {
  try {
    return JSON.parse(readFileSync(new URL(file, import.meta.url), "utf8")).packages;
  } catch {
    return {};
  }
}
