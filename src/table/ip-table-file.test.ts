import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { nodeRow } from "../../test/support/node-row.ts";
import { VirtualClock } from "../../test/support/virtual-clock.ts";
import { Scope, silentLog, systemClock } from "../base/index.ts";
import type { NodeRow } from "./contract.ts";
import { formatIpTable, IpTableFile } from "./ip-table-file.ts";

describe("ip_table.json", () => {
  test("has the named fields, in the units that docs/ip-table.md promises", () => {
    const [entry] = entries(formatIpTable([full]));
    assert.deepEqual(entry, {
      Name: "attic",
      NodeId: full.id,
      IPV4: "192.0.2.7",
      IPV6: "2001:db8::7",
      ServerPort: "8088",
      Latency: 28.172,
      Download: 41.2,
      Upload: 11,
      NAT: "none",
      Via: [],
      Path: "tcp6",
      LastSeen: "2026-01-01T00:00:00.000Z",
      CustomInformation: "in the roof",
    });
  });

  test("says null and nothing where nothing is known", () => {
    const {
      downBytesPerSecond: _down,
      upBytesPerSecond: _up,
      rttMs: _rtt,
      path: _path,
      lastSeen: _seen,
      ...bare
    } = full;
    const [entry] = entries(formatIpTable([{ ...bare, addresses: [] }]));
    assert.deepEqual(
      [entry?.["IPV4"], entry?.["IPV6"], entry?.["Latency"], entry?.["Download"], entry?.["Path"], entry?.["LastSeen"]],
      ["", "", null, null, "", ""],
    );
  });
});

describe("IpTableFile", () => {
  test("writes at most every five seconds, and only what changed", async () => {
    await using lab = await Lab.open();
    lab.run();
    await lab.settled(() => lab.read());
    await rm(lab.path);
    lab.version++;
    await lab.clock.advance(4_999);
    assert.deepEqual(await readdir(lab.folder), []);
    await lab.clock.advance(1);
    await lab.settled(() => lab.read());
    await rm(lab.path);
    await lab.clock.advance(60_000);
    assert.deepEqual(await readdir(lab.folder), []);
  });

  test("writes once more when it ends, for its owner alone", async () => {
    const lab = await Lab.open();
    lab.run();
    await lab.settled(() => lab.read());
    lab.rows = [full];
    lab.version++;
    await lab.scope.close();
    assert.equal(entries(await lab.read()).length, 1);
    assert.equal((await stat(lab.path)).mode & 0o777, 0o600);
    await lab[Symbol.asyncDispose]();
  });

  for (const [what, text] of [
    ["the Go program wrote", '{"ip_address":[{"Name":"x"}]}'],
    ["is truncated", formatIpTable([nodeRow({})]).slice(0, 40)],
    ["is empty", ""],
    ["is another kind of JSON", "[1]"],
  ] as const) {
    test(`moves a file aside that ${what}, and says so`, async () => {
      await using lab = await Lab.open();
      await writeFile(lab.path, text);
      lab.run();
      await lab.settled(async () => entries(await lab.read()));
      const aside = (await readdir(lab.folder)).find((name) => name.includes(".foreign-")) ?? assert.fail();
      assert.equal(await readFile(join(lab.folder, aside), "utf8"), text);
      assert.equal(lab.warnings.length, 1);
    });
  }

  test("keeps the last three that it moved aside, and nothing else goes", async () => {
    await using lab = await Lab.open();
    const others = ["ip_table.json.foreign", "notes.foreign-2020-01-01T00-00-00-000Z"];
    for (const name of others) await writeFile(join(lab.folder, name), "mine");
    for (const year of [2021, 2022, 2023, 2024])
      await writeFile(`${lab.path}.foreign-${year}-01-01T00-00-00-000Z`, `${year}`);
    await writeFile(lab.path, "foreign");
    lab.run();
    await lab.settled(async () => entries(await lab.read()));
    assert.deepEqual(
      (await readdir(lab.folder)).sort(),
      [
        "ip_table.json",
        ...others,
        ...["2023-01-01", "2024-01-01", "2026-01-01"].map((day) => `ip_table.json.foreign-${day}T00-00-00-000Z`),
      ].sort(),
    );
  });

  test("moves a folder of that name aside", async () => {
    await using lab = await Lab.open();
    await mkdir(lab.path);
    lab.run();
    await lab.settled(() => lab.read());
    assert.equal((await readdir(lab.folder)).length, 2);
  });

  test("writes over its own", async () => {
    await using lab = await Lab.open();
    await writeFile(lab.path, formatIpTable([]));
    lab.rows = [full];
    lab.run();
    await lab.settled(async () => assert.equal(entries(await lab.read()).length, 1));
    assert.deepEqual([await readdir(lab.folder), lab.warnings], [["ip_table.json"], []]);
  });
});

const full: NodeRow = nodeRow({
  name: "attic",
  addresses: ["2001:db8::7", "192.0.2.7"],
  port: 8088,
  rttMs: 28.172,
  downBytesPerSecond: 41_200_000,
  upBytesPerSecond: 11_000_000,
  nat: "none",
  via: [],
  path: "tcp6",
  lastSeen: "2026-01-01T00:00:00.000Z",
  info: "in the roof",
});

function entries(text: string): Record<string, unknown>[] {
  return (JSON.parse(text) as { ip_address: Record<string, unknown>[] }).ip_address;
}

class Lab implements AsyncDisposable {
  readonly clock = new VirtualClock();
  readonly scope = new Scope();
  readonly folder: string;
  readonly warnings: string[] = [];
  readonly file: IpTableFile;
  rows: NodeRow[] = [];
  version = 0;

  static async open(): Promise<Lab> {
    return new Lab(await mkdtemp(join(tmpdir(), "p2prc-table-")));
  }

  private constructor(folder: string) {
    this.folder = folder;
    const log = { ...silentLog, warn: (message: string) => void this.warnings.push(message) };
    this.file = new IpTableFile({
      path: join(folder, "ip_table.json"),
      rows: () => this.rows,
      version: () => this.version,
      clock: this.clock,
      log,
    });
  }

  get path(): string {
    return join(this.folder, "ip_table.json");
  }

  run(): void {
    this.scope.spawn((signal) => this.file.run(signal));
  }

  read(): Promise<string> {
    return readFile(this.path, "utf8");
  }

  /** Files take real time: waits until the write is over, the sync of the folder included, and it rests. */
  async settled(holds: () => Promise<unknown>): Promise<void> {
    for (let tries = 0; tries < 1_000 && this.clock.sleeperCount === 0; tries++)
      await systemClock.sleep(5, new AbortController().signal);
    await holds();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.scope.close();
    await rm(this.folder, { recursive: true, force: true });
  }
}
