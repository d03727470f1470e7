import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DatabaseSync } from "node:sqlite";
import { describe, test } from "node:test";
import { Child } from "../../test/support/child.ts";
import { TinyDisk } from "../../test/support/tiny-disk.ts";
import { VirtualClock } from "../../test/support/virtual-clock.ts";
import type { Failure } from "../core/index.ts";
import { inTransaction, migrate, openDatabase } from "./index.ts";

const steps = ["CREATE TABLE lab_rows (id INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT"];

describe("the state of a home", () => {
  test("is closed to others, with its companions", async () => {
    await using lab = await Lab.open();
    lab.fill(3);
    for (const name of await readdir(lab.folder))
      assert.equal((await stat(join(lab.folder, name))).mode & 0o777, 0o600, name);
    assert.ok((await readdir(lab.folder)).includes("state.sqlite-wal"));
  });

  for (const [what, damage] of [
    ["is not a database", (path: string) => writeFile(path, "{}".repeat(5_000))],
    ["is cut off", (path: string) => truncate(path, 5_000)],
    ["has a page of junk", async (path: string) => writeFile(path, (await readFile(path)).fill(0xaa, 4_096, 12_288))],
  ] as const) {
    test(`is moved aside under a name with the time when it ${what}, and somebody hears of it`, async () => {
      await using lab = await Lab.open();
      lab.fill(500);
      lab.database.close();
      await damage(lab.path);
      const damaged = await readFile(lab.path);
      assert.throws(() => openDatabase(lab.path, { clock: new VirtualClock() }), {
        code: "home-unusable",
        message: /damaged and has been moved/,
      });
      assert.deepEqual(await readdir(lab.folder), ["state.sqlite.broken-2026-01-01T00-00-00-000Z"]);
      assert.deepEqual(await readFile(join(lab.folder, "state.sqlite.broken-2026-01-01T00-00-00-000Z")), damaged);
      openDatabase(lab.path).close();
    });
  }

  test("goes on empty at once where somebody wants to be told instead", async () => {
    await using lab = await Lab.open();
    lab.fill(1);
    lab.database.close();
    await writeFile(lab.path, "junk".repeat(2_000));
    const heard: Failure[] = [];
    const database = openDatabase(lab.path, { onBroken: (failure) => void heard.push(failure) });
    assert.equal(heard[0]?.code, "home-unusable");
    migrate(database, "lab", steps);
    database.close();
  });

  test("says what is wrong when the file cannot be opened, and moves nothing", async () => {
    await using lab = await Lab.open();
    assert.throws(() => openDatabase(join(lab.folder, "missing", "state.sqlite")), { code: "home-unusable" });
    assert.throws(() => openDatabase(lab.folder), { code: "home-unusable" });
  });

  test("holds every row that was committed, and no half ones, after kill -9 in the middle of writing", async () => {
    await using lab = await Lab.open();
    lab.database.close();
    for (let round = 0; round < 4; round++) {
      await using child = await Child.start(`
        import { inTransaction, migrate, openDatabase } from "${new URL("./index.ts", import.meta.url).href}";
        import { writeSync } from "node:fs";
        const database = openDatabase("${lab.path}");
        migrate(database, "lab", ${JSON.stringify(steps)});
        const insert = database.prepare("INSERT INTO lab_rows (text) VALUES (?)");
        for (;;) {
          inTransaction(database, () => { insert.run("a"); insert.run("b"); });
          writeSync(1, database.prepare("SELECT count(*) AS n FROM lab_rows").get().n + "\\n");
        }
      `);
      let said = 0;
      for (let lines = 0; lines < 20 + round * 17; lines++) said = Number(await child.line());
      await child.kill();
      const database = openDatabase(lab.path);
      const count = (text: string) =>
        Number(database.prepare("SELECT count(*) AS n FROM lab_rows WHERE text = ?").get(text)?.["n"]);
      assert.equal(count("a"), count("b"));
      assert.ok(count("a") * 2 >= said);
      database.close();
    }
  });

  test("loses nothing when the disk is full, says so, and goes on once there is room", async (t) => {
    await using disk = await TinyDisk.mount(t);
    if (disk === undefined) return;
    const database = openDatabase(join(disk.path, "state.sqlite"));
    migrate(database, "lab", steps);
    const insert = database.prepare("INSERT INTO lab_rows (text) VALUES (?)");
    insert.run("before");
    await writeFile(join(disk.path, "filler"), new Uint8Array(disk.bytes)).catch(() => undefined);
    assert.throws(() => inTransaction(database, () => void insert.run("x".repeat(100_000))), { code: "disk-full" });
    assert.deepEqual(texts(database), ["before"]);
    await rm(join(disk.path, "filler"));
    inTransaction(database, () => void insert.run("after"));
    assert.deepEqual(texts(database), ["before", "after"]);
    database.close();
  });

  test("cannot be made on a full disk, and says so", async (t) => {
    await using disk = await TinyDisk.mount(t);
    if (disk === undefined) return;
    await writeFile(join(disk.path, "filler"), new Uint8Array(disk.bytes)).catch(() => undefined);
    assert.throws(() => openDatabase(join(disk.path, "state.sqlite")), { code: "disk-full" });
  });

  test("says so on a disk with hardly any room left too, however much that is", async (t) => {
    await using disk = await TinyDisk.mount(t);
    if (disk === undefined) return;
    const path = join(disk.path, "state.sqlite");
    const grow = (database: DatabaseSync) => {
      migrate(database, "lab", steps);
      const insert = database.prepare("INSERT INTO lab_rows (text) VALUES (?)");
      inTransaction(database, () => void insert.run("x".repeat(200_000)));
    };
    for (let freeKiB = 4; freeKiB <= 64; freeKiB += 4) {
      await writeFile(join(disk.path, "filler"), new Uint8Array(disk.bytes - freeKiB * 1024));
      assert.throws(() => openAnd(path, grow), { code: "disk-full" }, `${freeKiB} KiB`);
      await Promise.all((await readdir(disk.path)).map((name) => rm(join(disk.path, name))));
    }
  });
});

function openAnd(path: string, use: (database: DatabaseSync) => void): void {
  const database = openDatabase(path);
  try {
    use(database);
  } finally {
    database.close();
  }
}

describe("migrate", () => {
  test("runs each step once, and later ones on top of what is there", async () => {
    await using lab = await Lab.open();
    lab.fill(1);
    migrate(lab.database, "lab", steps);
    migrate(lab.database, "lab", [...steps, "ALTER TABLE lab_rows ADD COLUMN note TEXT"]);
    assert.deepEqual({ ...lab.database.prepare("SELECT text, note FROM lab_rows").get() }, { text: "row", note: null });
  });

  test("keeps the versions of rooms apart", async () => {
    await using lab = await Lab.open();
    lab.fill(0);
    migrate(lab.database, "other", ["CREATE TABLE other_rows (id INTEGER) STRICT"]);
    assert.deepEqual(
      lab.database
        .prepare("SELECT room FROM store_versions ORDER BY room")
        .all()
        .map((row) => row["room"]),
      ["lab", "other"],
    );
  });

  test("refuses a state that a newer program wrote", async () => {
    await using lab = await Lab.open();
    migrate(lab.database, "lab", [...steps, "CREATE TABLE lab_more (id INTEGER) STRICT"]);
    assert.throws(() => migrate(lab.database, "lab", steps), {
      code: "version-differs",
      message: /lab 2, this one knows 1/,
    });
  });

  test("leaves nothing of a step that fails half way", async () => {
    await using lab = await Lab.open();
    assert.throws(
      () => migrate(lab.database, "lab", ["CREATE TABLE lab_half (id INTEGER) STRICT; SELECT nonsense"]),
      /nonsense/,
    );
    migrate(lab.database, "lab", steps);
    assert.equal(
      lab.database.prepare("SELECT count(*) AS n FROM sqlite_schema WHERE name = 'lab_half'").get()?.["n"],
      0,
    );
  });
});

test("a transaction is undone whole when its work throws, and the error is the work's own", async () => {
  await using lab = await Lab.open();
  lab.fill(0);
  const work = () => {
    lab.database.exec("INSERT INTO lab_rows (text) VALUES ('x')");
    throw new TypeError("defect");
  };
  assert.throws(() => inTransaction(lab.database, work), /defect/);
  assert.deepEqual(texts(lab.database), []);
});

function texts(database: DatabaseSync): unknown[] {
  return database
    .prepare("SELECT text FROM lab_rows ORDER BY id")
    .all()
    .map((row) => row["text"]);
}

class Lab implements AsyncDisposable {
  readonly folder: string;
  readonly path: string;
  readonly database: DatabaseSync;

  static async open(): Promise<Lab> {
    return new Lab(await mkdtemp(join(tmpdir(), "p2prc-state-")));
  }

  private constructor(folder: string) {
    this.folder = folder;
    this.path = join(folder, "state.sqlite");
    this.database = openDatabase(this.path);
  }

  fill(rows: number): void {
    migrate(this.database, "lab", steps);
    const insert = this.database.prepare("INSERT INTO lab_rows (text) VALUES ('row')");
    for (let i = 0; i < rows; i++) insert.run();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.database.isOpen) this.database.close();
    await rm(this.folder, { recursive: true, force: true });
  }
}
