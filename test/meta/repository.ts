/** This repository as the tests about it read it. */

import { globSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dirname, "..", "..");

export function read(path: string): string {
  return readFileSync(join(root, path), "utf8");
}

export function readJson(path: string): unknown {
  return JSON.parse(read(path));
}

/** Paths from the root, sorted. */
export function find(pattern: string): string[] {
  return globSync(pattern, { cwd: root, exclude: ["**/node_modules/**"] }).sort();
}

/** The rooms of src/, by name. */
export function rooms(): string[] {
  return readdirSync(join(root, "src"));
}
