import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { oneFile } from "./one-file.ts";

describe("one file of several modules", () => {
  test("runs as they would", async () => {
    const greet = `
import { basename as nameOf } from "node:path";
import {
  exclaim,
} from "./exclaim.js";
export const MARK = "!";
export async function greet(path) { return exclaim(nameOf(path)); }
export class Nobody {}
const here = () => import.meta.url.startsWith("file:///");
export function* places() { yield here(); }
`;
    const exclaim = `
let times = 0;
console.log("loaded");
export function exclaim(text) { times++; return text + "!".repeat(times); }
`;
    const main = `
import { greet, MARK, Nobody, places } from "./greet.ts";
async function main() {
  const { exclaim } = await import("./exclaim.ts");
  console.log(exclaim("a"), await greet("/b/c"), MARK, new Nobody() instanceof Nobody, [...places()][0]);
}
void main();
`;
    const output = await run({ main, greet, exclaim });
    assert.equal(output, "loaded\na! c!! ! true true\n");
  });

  test("loads what is imported by and by only then", async () => {
    const late = `console.log("late");`;
    const main = `console.log("first"); setTimeout(() => import("./late.ts"));`;
    assert.equal(await run({ main, late }), "first\nlate\n");
  });

  for (const left of [
    'export { a } from "./a.js";',
    "export default 1;",
    'import a from "node:path";',
    'import "./a.js";',
    "const { dirname } = import.meta;",
    "export const { a } = {};",
    "export let a = 1;",
  ]) {
    test(`refuses what it does not know: ${left}`, () => {
      assert.throws(
        () => oneFile([{ name: "main", source: `${left}\n` }], "main"),
        /main cannot be put into one file/u,
      );
    });
  }
});

async function run(sources: Readonly<Record<string, string>>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "p2prc-one-file-"));
  try {
    const modules = Object.entries(sources).map(([name, source]) => ({ name, source }));
    await writeFile(join(folder, "all.cjs"), oneFile(modules, "main"));
    return execFileSync(process.execPath, [join(folder, "all.cjs")], { encoding: "utf8" });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
