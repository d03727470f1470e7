import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { isHomeName } from "./home-names.ts";

describe("isHomeName", () => {
  test("knows what a home holds, also what was moved aside or half written", () => {
    const names = [
      "key",
      "state.sqlite",
      "state.sqlite-wal",
      "state.sqlite.broken-2026-01-31T12-00-00-000Z-shm",
      "ip_table.json.foreign-2026-01-31T12-00-00-000Z",
      "log.4",
      ".ip_table.json.0123456789ab.tmp",
    ];
    assert.deepEqual(names.filter(isHomeName), names);
  });

  test("knows nothing else", () => {
    const names = ["thesis.txt", "keys", "log.txt", "state.sqlite.bak", ".thesis.txt.0123456789ab.tmp", "Images", ""];
    assert.deepEqual(names.filter(isHomeName), []);
  });
});
