import assert from "node:assert/strict";
import { chmod, mkdtemp, readFile, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { Child } from "../../test/support/child.ts";
import { seededRandom, systemRandom } from "../base/index.ts";
import { isCleanText } from "../core/index.ts";
import { type Home, openHome, openName, openSeed, openToken } from "./index.ts";

describe("the key of a home", () => {
  test("is made at the first start, for its user alone, and stays", async () => {
    await using lab = await Lab.open();
    const seed = await openSeed(lab.home, systemRandom);
    assert.equal(seed.length, 32);
    assert.equal((await stat(lab.home.key)).mode & 0o777, 0o600);
    assert.deepEqual(await openSeed(lab.home, systemRandom), seed);
    assert.deepEqual(await readFile(lab.home.key), seed);
  });

  test("is the same for many that ask at the same time", async () => {
    await using lab = await Lab.open();
    const seeds = await Promise.all(Array.from({ length: 20 }, () => openSeed(lab.home, systemRandom)));
    assert.equal(new Set(seeds.map((seed) => Buffer.from(seed).toString("hex"))).size, 1);
  });

  test("is the same for two processes that start at the same time", async () => {
    await using lab = await Lab.open();
    const code = `
      import { systemRandom } from "${new URL("../base/index.ts", import.meta.url).href}";
      import { openSeed } from "${new URL("./index.ts", import.meta.url).href}";
      console.log(Buffer.from(await openSeed(${JSON.stringify(lab.home)}, systemRandom)).toString("hex"));
    `;
    await using one = await Child.start(code);
    await using two = await Child.start(code);
    const [first, second] = await Promise.all([one.line(), two.line()]);
    assert.equal(first, second);
  });

  test("is refused when others may read it, with the command that mends it", async () => {
    await using lab = await Lab.open();
    await openSeed(lab.home, systemRandom);
    await chmod(lab.home.key, 0o640);
    await assert.rejects(openSeed(lab.home, systemRandom), {
      code: "home-unusable",
      hint: new RegExp(`chmod 600 '${lab.home.key}'`),
    });
  });

  test("is refused when it is another user's", async () => {
    await using lab = await Lab.open();
    await openSeed(lab.home, systemRandom);
    await assert.rejects(openSeed({ ...lab.home, uid: (lab.home.uid ?? 0) + 1 }, systemRandom), {
      code: "home-unusable",
      message: /another user/,
    });
  });

  test("is refused when it is cut off, and never replaced", async () => {
    await using lab = await Lab.open();
    const seed = await openSeed(lab.home, systemRandom);
    for (const size of [31, 1, 0]) {
      await truncate(lab.home.key, size);
      await assert.rejects(openSeed(lab.home, systemRandom), {
        code: "home-unusable",
        message: new RegExp(`has ${size} bytes`),
      });
      assert.deepEqual(await readFile(lab.home.key), Buffer.from(seed.subarray(0, size)));
    }
  });

  test("never shows in a message", async () => {
    await using lab = await Lab.open();
    const seed = Buffer.from(await openSeed(lab.home, systemRandom));
    await truncate(lab.home.key, 31);
    const error = await openSeed(lab.home, systemRandom).then(
      () => new Error("it was accepted"),
      (refused: Error) => refused,
    );
    assert.match(error.message, /31 bytes/);
    const said = JSON.stringify([error.message, error.stack, error]);
    for (const encoding of ["hex", "base64", "latin1"] as const)
      assert.ok(!said.includes(seed.toString(encoding).slice(0, 16)));
  });

  test("is checked by size alone on Windows", async () => {
    await using lab = await Lab.open();
    await openSeed(lab.home, systemRandom);
    await chmod(lab.home.key, 0o666);
    assert.equal((await openSeed({ ...lab.home, platform: "win32", uid: undefined }, systemRandom)).length, 32);
  });
});

test("the token of a home is another secret, made in the same way", async () => {
  await using lab = await Lab.open();
  const token = await openToken(lab.home, seededRandom(1));
  assert.match(token, /^[0-9a-f]{64}$/);
  assert.equal(await openToken(lab.home, seededRandom(2)), token);
  assert.equal((await stat(lab.home.token)).mode & 0o777, 0o600);
});

describe("the name of a node whose owner chose none", () => {
  test("is drawn once, kept, and the same for all that ask at once", async () => {
    await using lab = await Lab.open();
    const names = await Promise.all(Array.from({ length: 10 }, (_, seed) => openName(lab.home, seededRandom(seed))));
    assert.equal(new Set(names).size, 1);
    assert.match(names[0] ?? "", /^[a-z]+-[a-z]+$/);
    assert.equal(await openName(lab.home, seededRandom(99)), names[0]);
  });

  test("is the one that was chosen at any start before, until another is chosen", async () => {
    await using lab = await Lab.open();
    const drawn = await openName(lab.home, systemRandom);
    assert.equal(await openName(lab.home, systemRandom, "attic"), "attic");
    assert.deepEqual([await openName(lab.home, systemRandom), drawn === "attic"], ["attic", false]);
    await openName(lab.home, systemRandom, "ba\u202ern");
    const kept = await openName(lab.home, systemRandom);
    assert.ok(kept.startsWith("ba") && isCleanText(kept));
  });

  test("is refused when its file holds something else", async () => {
    await using lab = await Lab.open();
    for (const text of ["", "a\u202eb", "x".repeat(33), "\u0000"]) {
      await writeFile(lab.home.name, text);
      await assert.rejects(openName(lab.home, systemRandom), { code: "home-unusable", hint: /rm '/ });
    }
  });
});

class Lab implements AsyncDisposable {
  readonly home: Home;

  static async open(): Promise<Lab> {
    const path = await mkdtemp(join(tmpdir(), "p2prc-key-"));
    return new Lab(
      await openHome(path, {
        platform: "linux",
        uid: process.getuid?.(),
        runtimeFolder: undefined,
        tempFolder: tmpdir(),
      }),
    );
  }

  private constructor(home: Home) {
    this.home = home;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return rm(this.home.path, { recursive: true, force: true });
  }
}
