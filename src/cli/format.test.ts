import assert from "node:assert/strict";
import { test } from "node:test";
import { formatAge, formatDecimalBytes, formatRate, formatRtt, formatSeedLatency } from "./format.ts";

test("formats round trips", () => {
  assert.deepEqual([undefined, 0.312, 28.172471, 1234].map(formatRtt), ["", "0.31 ms", "28.2 ms", "1.2 s"]);
});

test("formats latencies as the first P2PRC did", () => {
  assert.deepEqual([28.172471, 0.3125, 1500, 0.0005, 30].map(formatSeedLatency), [
    "28.172471ms",
    "312.5µs",
    "1.5s",
    "500ns",
    "30ms",
  ]);
});

test("formats speeds in powers of ten", () => {
  assert.deepEqual([undefined, 0, 999, 41_200_000, 1.1e9].map(formatRate), [
    "",
    "0 B/s",
    "999 B/s",
    "41.2 MB/s",
    "1.1 GB/s",
  ]);
});

test("formats amounts", () => {
  assert.deepEqual([0, 12, 50_000_000].map(formatDecimalBytes), ["0 B", "12 B", "50.0 MB"]);
});

test("formats how long ago", () => {
  assert.deepEqual([-5, 0, 12_000, 300_000, 7_200_000, 2 * 86_400_000].map(formatAge), [
    "now",
    "now",
    "12 s",
    "5 min",
    "2 h",
    "2 d",
  ]);
});
