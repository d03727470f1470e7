import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { Value } from "typebox/value";
import {
  defaultGrant,
  exceeds,
  formatDuration,
  formatSize,
  Grant,
  isLive,
  MAX_DURATION_MS,
  parseCount,
  parseDuration,
  parseGrantWords,
  parseSize,
  parseUntil,
} from "./index.ts";

describe("a length of time", () => {
  test("reads as it was written", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: MAX_DURATION_MS }), (ms) =>
        assert.equal(parseDuration(formatDuration(ms)), ms),
      ),
    );
  });

  test("is written as people write it", () => {
    const written = {
      "90s": 90_000,
      "8h": 28_800_000,
      "1d12h": 129_600_000,
      "2w": 1_209_600_000,
      " 30M ": 1_800_000,
      "250ms": 250,
    };
    for (const [text, ms] of Object.entries(written)) assert.equal(parseDuration(text), ms, text);
    assert.equal(formatDuration(129_600_000), "1d12h");
    assert.equal(formatDuration(0), "0s");
  });

  test("is refused when it is anything else", () => {
    for (const text of [
      "",
      "8",
      "h",
      "-8h",
      "8 h",
      "8hours",
      "1.5h",
      "12h1d",
      "8h8h",
      "0s",
      "101y",
      "99999d",
      "1e3s",
      "٣h",
    ]) {
      assert.throws(() => parseDuration(text), { code: "bad-argument", hint: /8h/ }, text);
    }
    fc.assert(
      fc.property(
        fc.string().filter((text) => /[^\s\dwdhms]/i.test(text)),
        (text) => throwsBadArgument(() => parseDuration(text)),
      ),
    );
  });
});

describe("an amount of bytes", () => {
  test("reads as it was written", () => {
    fc.assert(fc.property(fc.maxSafeNat(), (bytes) => assert.equal(parseSize(formatSize(bytes)), bytes)));
  });

  test("is written as people write it, with Docker's units", () => {
    const written = {
      "8G": 8 * 1024 ** 3,
      "8gib": 8 * 1024 ** 3,
      "8GB": 8e9,
      "1.5T": 1.5 * 1024 ** 4,
      "512 m": 512 * 1024 ** 2,
      "100": 100,
      "100b": 100,
      "1.1kB": 1_100,
    };
    for (const [text, bytes] of Object.entries(written)) assert.equal(parseSize(text), bytes, text);
    assert.equal(formatSize(20 * 1024 ** 3), "20GiB");
    assert.equal(formatSize(1_000), "1000B");
    assert.equal(formatSize(0), "0B");
  });

  test("is refused when it is anything else", () => {
    for (const text of ["", "G", "-8G", "8X", "8GG", "1.5", "1e9", "0x10", "8 GiBs", "9999999P", "1,5G"]) {
      assert.throws(() => parseSize(text), { code: "bad-argument", hint: /8G/ }, text);
    }
  });
});

describe("a grant", () => {
  test("is what was typed, and nothing more", () => {
    const words = {
      cpus: "4",
      memory: "8G",
      disk: "20G",
      gpu: "1",
      lifetime: "8h",
      sandboxes: "2",
      network: "none",
      ports: "3",
      publish: true,
      relay: false,
      own: true,
      until: "30d",
    };
    assert.deepEqual(parseGrantWords(words, 1_000), {
      kind: "own",
      cpus: 4,
      memoryBytes: 8 * 1024 ** 3,
      diskBytes: 20 * 1024 ** 3,
      gpus: 1,
      maxLifetimeMs: 28_800_000,
      sandboxes: 2,
      network: "none",
      ports: 3,
      publish: true,
      relay: false,
      until: 1_000 + 30 * 86_400_000,
    });
    assert.deepEqual(parseGrantWords({}, 0), {});
    assert.deepEqual(parseGrantWords({ own: false, cpus: "0.5" }, 0), { kind: "guest", cpus: 0.5 });
  });

  test("is refused with the word that is wrong", () => {
    const wrong = [
      { cpus: "0" },
      { cpus: "four" },
      { cpus: "1e3" },
      { memory: "lots" },
      { disk: "-1" },
      { gpu: "1.5" },
      { lifetime: "0h" },
      { sandboxes: "-1" },
      { network: "lan" },
      { ports: "x" },
      { until: "soon" },
    ];
    for (const words of wrong)
      assert.throws(
        () => parseGrantWords(words, 0),
        { code: "bad-argument", message: new RegExp(`"${Object.values(words)[0]}"`) },
        JSON.stringify(words),
      );
  });

  test("ends at a date, or after a time, and never in the past", () => {
    const now = Date.UTC(2026, 10, 23);
    assert.equal(parseUntil("2026-12-31", now), Date.UTC(2026, 11, 31));
    assert.equal(parseUntil("1h", now), now + 3_600_000);
    assert.throws(() => parseUntil("2020-01-01", now), { code: "bad-argument", message: /has passed/ });
    assert.throws(() => parseUntil("2026-13-45", now), { code: "bad-argument", message: /not a date/ });
    assert.equal(parseCount(" 7 ", "--uses"), 7);
  });

  test("fits its own schema, and a bad one does not", () => {
    assert.ok(Value.Check(Grant, defaultGrant));
    for (const bad of [{ kind: "admin" }, { cpus: -1 }, { gpus: 1.5 }, { until: -1 }, { extra: 1 }, { network: "lan" }])
      assert.ok(!Value.Check(Grant, { ...defaultGrant, ...bad }));
  });

  test("says by how much a demand goes over it, and what is allowed", () => {
    assert.deepEqual(exceeds(defaultGrant, { memoryBytes: 6 * 1024 ** 3, sandboxes: 3, network: "internet" }), [
      { what: "sandboxes", why: "3 sandboxes at once, allowed are 2 (1 too much)" },
      { what: "memoryBytes", why: "6GiB memory in all, allowed are 2GiB (4GiB too much)" },
    ]);
    const all = {
      sandboxes: 9,
      cpus: 9,
      memoryBytes: 9e12,
      diskBytes: 9e12,
      gpus: 9,
      lifetimeMs: 9e9,
      ports: 9,
      network: "internet",
      publish: true,
      relay: true,
    } as const;
    assert.deepEqual(
      exceeds({ ...defaultGrant, network: "none", relay: false }, all)
        .map((excess) => excess.what)
        .sort(),
      Object.keys(all).sort(),
    );
  });

  test("allows all up to its limits, and anything to a node of one's own", () => {
    const { sandboxes, cpus, memoryBytes, diskBytes, gpus, maxLifetimeMs, ports } = defaultGrant;
    assert.deepEqual(
      exceeds(defaultGrant, {
        sandboxes,
        cpus,
        memoryBytes,
        diskBytes,
        gpus,
        lifetimeMs: maxLifetimeMs,
        ports,
        network: "internet",
      }),
      [],
    );
    assert.deepEqual(exceeds(defaultGrant, {}), []);
    assert.deepEqual(exceeds({ ...defaultGrant, kind: "own" }, { gpus: 64, publish: true }), []);
  });

  test("holds until its time, and without one for ever", () => {
    assert.ok(isLive({ until: 10 }, 9) && !isLive({ until: 10 }, 10) && isLive({}, 8e15));
  });
});

function throwsBadArgument(work: () => unknown): boolean {
  try {
    work();
    return false;
  } catch (error) {
    return (error as { code?: unknown }).code === "bad-argument";
  }
}
