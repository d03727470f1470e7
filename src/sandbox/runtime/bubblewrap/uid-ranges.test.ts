import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { findSubId, freeRange, RANGE_SIZE, rangeFrom, singleUser, subRange } from "./uid-ranges.ts";

describe("freeRange", () => {
  test("gives each its own, above what systemd uses and below 2^31", () => {
    const taken = new Set<number>();
    for (let count = 0; count < 500; count++) taken.add(freeRange("/home/me", taken));
    assert.equal(taken.size, 500);
    assert.ok([...taken].every((base) => base >= 0x70000000 && base + RANGE_SIZE <= 0x80000000));
    assert.ok([...taken].every((base) => (base - 0x70000000) % RANGE_SIZE === 0));
  });

  test("begins elsewhere for another home", () => {
    assert.notEqual(freeRange("/home/me", new Set()), freeRange("/home/you", new Set()));
  });

  test("refuses when all are taken", () => {
    const all = Array.from({ length: 4_096 }, (_, index) => 0x70000000 + index * RANGE_SIZE);
    assert.throws(() => freeRange("/home/me", new Set(all)), { code: "busy" });
  });
});

describe("the users of a sandbox", () => {
  test("have no root of the host among them", () => {
    const maps = [rangeFrom(0x70000000), singleUser({ uid: 1000, gid: 100 })].flatMap(({ uidMap, gidMap }) => [
      uidMap,
      gidMap,
    ]);
    assert.ok(maps.every((map) => map.split("\n").every((line) => line.split(" ")[1] !== "0")));
  });

  test("are what /etc/subuid grants, with the owner as root", () => {
    const granted = { uids: { start: 100_000, count: 65_536 }, gids: { start: 200_000, count: 65_536 } };
    const users = subRange({ uid: 1000, gid: 100 }, granted);
    assert.deepEqual([users.uidMap, users.gidMap], ["0 1000 1\n1 100000 65535\n", "0 100 1\n1 200000 65535\n"]);
  });
});

describe("findSubId", () => {
  const me = { uid: 1000, name: "ada" };

  test("knows a user by name or number", () => {
    assert.deepEqual(findSubId("bob:1:65536\nada:100000:65536\n", me), { start: 100_000, count: 65_536 });
    assert.deepEqual(findSubId("1000:5000:70000", me), { start: 5_000, count: 70_000 });
  });

  test("takes none that is too small, damaged, or another's", () => {
    for (const text of ["", "ada:1:100", "ada:x:65536", "ada:1", "adam:1:65536"])
      assert.equal(findSubId(text, me), undefined);
  });
});
