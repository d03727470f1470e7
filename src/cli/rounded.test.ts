import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { CliLab } from "../../test/support/cli-lab.ts";
import { rounded } from "./rounded.ts";

test("rounded keeps three digits after the point, at any depth, and all else as it is", () => {
  assert.deepEqual(
    rounded({ ms: 12.345678999, all: [0.0004, -1.9999], at: 1_795_000_000_123, name: "a", no: undefined }),
    {
      ms: 12.346,
      all: [0, -2],
      at: 1_795_000_000_123,
      name: "a",
      no: undefined,
    },
  );
});

describe("the JSON of measures", () => {
  test("has three digits: why", async () => {
    const attempt = { path: "tcp4", address: "a", outcome: "open", ms: 0.123456, reason: "", at: 1 };
    const value = { node: { id: "i", name: "attic" }, attempts: [attempt], untried: [] };
    const lab = new CliLab({ routes: { "GET /v1/nodes/attic/why": { value } } });
    const { out } = await lab.p2prc("why", "attic", "--json");
    assert.deepEqual(JSON.parse(out[0] ?? ""), { ...value, attempts: [{ ...attempt, ms: 0.123 }] });
  });

  test("has three digits: speed", async () => {
    const steps = [{ result: { downBytesPerSecond: 1234.56789, down: { bytes: 1, ms: 2.00049 } } }];
    const lab = new CliLab({ routes: { "POST /v1/nodes/attic/speed": { steps } } });
    const { out } = await lab.p2prc("speed", "attic", "--json");
    assert.deepEqual(JSON.parse(out[0] ?? ""), { downBytesPerSecond: 1234.568, down: { bytes: 1, ms: 2 } });
  });

  test("has three digits: ping", async () => {
    const lab = new CliLab({ routes: { "POST /v1/nodes/attic/ping": { steps: [{ result: { medianMs: 1.23456 } }] } } });
    const { out } = await lab.p2prc("ping", "attic", "--json");
    assert.deepEqual(JSON.parse(out[0] ?? ""), { medianMs: 1.235 });
  });
});
