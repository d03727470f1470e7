import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { crc32, inflateSync } from "node:zlib";
import { encodePng } from "./png.ts";
import { rayTracer, scene } from "./ray-tracer.ts";

describe("a picture", () => {
  test("is a PNG whose rows are what was drawn", () => {
    const points = Uint8Array.from([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    const file = encodePng({ width: 2, height: 2, points });
    const chunks = chunksOf(file.subarray(8));
    assert.deepEqual(
      chunks.map(({ name }) => name),
      ["IHDR", "IDAT", "IEND"],
    );
    assert.deepEqual([...(chunks[0]?.content ?? [])], [0, 0, 0, 2, 0, 0, 0, 2, 8, 2, 0, 0, 0]);
    assert.deepEqual(
      [...inflateSync(chunks[1]?.content ?? Buffer.alloc(0))],
      [0, 1, 2, 3, 4, 5, 6, 0, 7, 8, 9, 10, 11, 12],
    );
  });

  test("is drawn by a program that needs nothing but Node", () => {
    const folder = mkdtempSync(join(tmpdir(), "p2prc-ray-"));
    try {
      const { status, stderr } = spawnSync(process.execPath, ["--input-type=commonjs", "-", "12", join(folder, "12")], {
        input: rayTracer(),
        encoding: "utf8",
      });
      assert.equal(status, 0, stderr);
      const strip = readFileSync(join(folder, "12"));
      assert.equal(strip.length, (3 * scene.width * scene.height) / scene.strips);
      assert.ok(new Set(strip).size > 50, "the floor has many shades");
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

function chunksOf(bytes: Buffer): readonly { readonly name: string; readonly content: Buffer }[] {
  const chunks: { name: string; content: Buffer }[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = bytes.readUInt32BE(at);
    const named = bytes.subarray(at + 4, at + 8 + length);
    assert.equal(bytes.readUInt32BE(at + 8 + length), crc32(named));
    chunks.push({ name: named.toString("latin1", 0, 4), content: named.subarray(4) });
    at += 12 + length;
  }
  return chunks;
}
