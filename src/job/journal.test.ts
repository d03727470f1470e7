import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import fc from "fast-check";
import { VirtualClock } from "../../test/support/virtual-clock.ts";
import { type Entry, Journal, readJournal } from "./journal.ts";

const done = (n: number): Entry => ({ n, ok: true, box: "a", ms: 5, outs: [] });

describe("a journal", () => {
  let folder = "";
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "p2prc-journal-"));
  });
  after(async () => await rm(folder, { recursive: true, force: true }));

  test("holds what was added, the last word about each task, over several runs", async () => {
    const path = join(folder, "journal");
    await write(path, [done(0), { n: 1, ok: false, why: "exit code 1" }]);
    await write(path, [done(1)]);
    const { entries, torn } = await readJournal(path);
    assert.equal(torn, false);
    assert.deepEqual([...entries.values()], [done(0), done(1)]);
  });

  test("is nothing where there was no run", async () => {
    assert.equal((await readJournal(join(folder, "none"))).entries.size, 0);
  });

  test("writes in batches, however many come at once", async () => {
    const path = join(folder, "batches");
    const clock = new VirtualClock();
    const journal = await Journal.open(path, { clock, torn: false });
    for (let n = 0; n < 1_000; n++) journal.add(done(n));
    await journal[Symbol.asyncDispose]();
    assert.equal((await readJournal(path)).entries.size, 1_000);
  });

  test("is what was whole of it wherever it was cut off, and can be gone on with", async () => {
    const path = join(folder, "torn");
    await write(path, [done(0), done(1), done(2)]);
    const whole = await readFile(path);
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: whole.length }), async (length) => {
        await writeFile(path, whole.subarray(0, length));
        const { entries, torn } = await readJournal(path);
        const lines = whole.subarray(0, length).toString().split("\n");
        assert.ok(entries.size >= lines.length - 1 && entries.size <= lines.length);
        const journal = await Journal.open(path, { clock: new VirtualClock(), torn });
        journal.add(done(9));
        await journal[Symbol.asyncDispose]();
        const after = (await readJournal(path)).entries;
        assert.ok(after.has(9));
        for (const n of entries.keys()) assert.ok(after.has(n));
      }),
      { numRuns: 40 },
    );
  });

  test("tells that it cannot write, then and from then on", { skip: process.platform !== "linux" }, async () => {
    const journal = await Journal.open("/dev/full", { clock: new VirtualClock(), torn: false });
    journal.add(done(0));
    await assert.rejects(journal[Symbol.asyncDispose](), { code: "disk-full" });
    assert.throws(() => journal.add(done(1)), { code: "disk-full" });
  });
});

async function write(path: string, entries: readonly Entry[]): Promise<void> {
  await using journal = await Journal.open(path, { clock: new VirtualClock(), torn: false });
  for (const entry of entries) journal.add(entry);
}
