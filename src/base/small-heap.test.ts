import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { describe, test } from "node:test";

const MODULE = JSON.stringify(join(import.meta.dirname, "small-heap.ts"));
/** Makes 64 MB of small objects that live for a while, and says what room V8 then gives to young ones. */
const CHURN = `
  const churn = () => { const kept = []; for (let i = 0; i < 1e6; i++) { kept[i % 50_000] = { i, text: [i] }; } return kept.length; };
  const young = () => getHeapSpaceStatistics().find((space) => space.space_name === "new_space").space_size;
`;

describe("the small heap", () => {
  test("grows while something has much to do, and only then", () => {
    const { alone, allowed, after } = run(`
      keepHeapSmall();
      churn(); const alone = young();
      const rooms = [letHeapGrow(), letHeapGrow()];
      for (const room of rooms) { room[Symbol.dispose](); room[Symbol.dispose](); }
      churn(); const after = young();
      { using _room = letHeapGrow(); churn(); churn(); }
      console.log(JSON.stringify({ alone, after, allowed: young() }));
    `);
    assert.equal(after, alone);
    assert.ok(allowed > 2 * alone, `${allowed} of ${alone}`);
  });
});

function run(code: string): { readonly alone: number; readonly allowed: number; readonly after: number } {
  const words = `import { keepHeapSmall, letHeapGrow } from ${MODULE};
    import { getHeapSpaceStatistics } from "node:v8";${CHURN}${code}`;
  const said = execFileSync(process.execPath, ["--input-type=module", "-e", words], { encoding: "utf8" });
  return JSON.parse(said);
}
