import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { appendFile, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { BadInput, Shipment } from "./shipment.ts";

const signal = new AbortController().signal;

describe("a shipment", () => {
  let folder = "";
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "p2prc-shipment-"));
  });
  after(async () => await rm(folder, { recursive: true, force: true }));

  for (const size of [0, 1_000, 256 * 1024, 3_000_000]) {
    test(`holds every byte of ${size}`, async () => {
      const path = join(folder, `of-${size}`);
      const content = randomBytes(size);
      await writeFile(path, content);
      const shipment = await Shipment.open(path, signal);
      assert.equal(shipment.mark.size, size);
      assert.equal(shipment.mark.sha256, createHash("sha256").update(content).digest("hex"));
      assert.deepEqual(await bytesOf(shipment), content);
    });
  }

  test("says that its file changed before all of it was read again", async () => {
    const path = join(folder, "growing");
    await writeFile(path, randomBytes(1_000_000));
    const shipment = await Shipment.open(path, signal);
    await appendFile(path, "more");
    await assert.rejects(
      bytesOf(shipment),
      (error) => error instanceof BadInput && /changed while it was shipped/.test(error.message),
    );
  });

  test("of a small file is what it was when it was looked at", async () => {
    const path = join(folder, "small");
    await writeFile(path, "before");
    const shipment = await Shipment.open(path, signal);
    await writeFile(path, "after!");
    assert.equal(String(await bytesOf(shipment)), "before");
  });

  test("is refused where there is nothing to read", async () => {
    await assert.rejects(Shipment.open(join(folder, "none"), signal), BadInput);
    await assert.rejects(Shipment.open(folder, signal), BadInput);
  });
});

async function bytesOf(shipment: Shipment): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of shipment.pieces(signal)) pieces.push(Buffer.from(piece));
  return Buffer.concat(pieces);
}
