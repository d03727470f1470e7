import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";

const MODULE = JSON.stringify(join(import.meta.dirname, "small-heap.ts"));
/** Makes 64 MB of small objects that live for a while, and says what room V8 then gives to young ones. */
const CHURN = `
  import { getHeapSpaceStatistics } from "node:v8";
  const kept = [];
  for (let i = 0; i < 1e6; i++) kept[i % 50_000] = { i, text: [i] };
  console.log(getHeapSpaceStatistics().find((space) => space.space_name === "new_space").space_size);
`;

test("a heap that is kept small gives young objects little room", () => {
  const small = room(`import { keepHeapSmall } from ${MODULE}; keepHeapSmall();`);
  assert.ok(small < room("") / 2, `${small} bytes`);
});

test("a heap that is swept holds nothing that nobody needs", () => {
  const used = "const used = () => process.memoryUsage().heapUsed;";
  const garbage = "let all = Array.from({ length: 1e6 }, (_, i) => ({ i })); const before = used(); all = undefined;";
  const script = `import { sweepHeap } from ${MODULE}; ${used} ${garbage} sweepHeap(); console.log(before - used());`;
  const freed = Number(execFileSync(process.execPath, ["--input-type=module", "-e", script], { encoding: "utf8" }));
  assert.ok(freed > 10_000_000, `${freed} bytes`);
});

function room(before: string): number {
  return Number(execFileSync(process.execPath, ["--input-type=module", "-e", before + CHURN], { encoding: "utf8" }));
}
