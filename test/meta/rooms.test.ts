import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { find, read, rooms } from "./repository.ts";

/** Nobody enters it: bin.ts is where the street begins. */
const withoutDoor = ["cli"];

describe("every room", () => {
  test("has a door", () => {
    const doorless = rooms().filter((room) => find(`src/${room}/index.ts`).length === 0);
    assert.deepEqual(doorless, withoutDoor);
  });

  test("has nothing but re-exports in its doors, and a line that says what it is for", () => {
    for (const door of find("src/*/{index,light}.ts")) {
      const [, comment, rest = ""] = /^(\/\*\*[\s\S]*?\*\/)\s([\s\S]*)$/.exec(read(door)) ?? [];
      assert.ok(comment !== undefined && /\w{3}/.test(comment), `${door} does not say what it is for`);
      assert.equal(notReExports(rest), "", `${door} holds more than re-exports`);
    }
  });

  test("has a row in ARCHITECTURE.md", () => {
    const plan = read("ARCHITECTURE.md");
    assert.deepEqual(
      rooms().filter((room) => !plan.includes(`${room}/`)),
      [],
    );
  });
});

describe("notReExports", () => {
  test("finds code between re-exports", () => {
    const code = 'export { a } from "./a.ts";\nexport const b = 1;\nexport type { C } from "./c.ts";\n';
    assert.equal(notReExports(code), "export const b = 1;");
    assert.equal(notReExports('import "reflect-metadata";'), 'import "reflect-metadata";');
  });
});

/** What is left of a door without `export … from` and comments. */
function notReExports(code: string): string {
  return code
    .replace(/\/\*[\s\S]*?\*\//g, "")
    .replace(/(^|\s)\/\/.*$/gm, "$1")
    .replace(/export (?:type )?(?:\{[^}]*\}|\*(?: as \w+)?) from "[^"]+";/g, "")
    .trim();
}
