import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, test } from "node:test";
import { fakeId } from "../../../test/support/fake-link.ts";
import { silentLog } from "../../base/index.ts";
import { Failure } from "../../core/index.ts";
import { Doors } from "../port/doors.ts";
import type { SandboxId } from "../runtime/sandbox-id.ts";
import type { SshBox } from "../ssh/ssh-config.ts";
import type { BoxRow } from "./box-book.ts";
import { WaysIn } from "./ways-in.ts";

const { signal } = new AbortController();
const hostKey = `ssh-ed25519 ${"A".repeat(68)}`;

describe("the ways into a box", () => {
  test("are one for SSH, told to ssh, and one for each port that was asked for", async () => {
    await using lab = new Lab();
    const ports = await lab.ways.open(boxRow("box", { ports: 2 }), signal);
    assert.equal(ports.length, 2);
    assert.deepEqual(
      ports.map(({ url }) => url),
      ["http://first.box", `http://${ports[1]?.internal}.box`],
    );
    const { id } = boxRow("box");
    assert.deepEqual(
      [undefined, ports[1]?.internal, 1].map((port) => lab.ways.portBehind({ box: id, port })),
      [ports[0]?.internal, ports[1]?.internal, undefined],
    );
    for (const { internal, local, host } of ports) assert.deepEqual([local, host], [internal, "127.0.0.1"]);
    assert.deepEqual(
      lab.told.map(({ name, user, nodeName }) => [name, user, nodeName]),
      [["box", "root", "attic"]],
    );
    assert.deepEqual(lab.ways.of(boxRow("box").id), ports);
  });

  test("are the same when they are opened again, and the files are not written for nothing", async () => {
    await using lab = new Lab();
    const row = boxRow("box", { ports: 1 });
    const first = await lab.ways.open(row, signal);
    assert.deepEqual(await lab.ways.open(row, signal), first);
    assert.equal(lab.writes, 1);
  });

  test("lack SSH where the node has none", async () => {
    await using lab = new Lab();
    const row = boxRow("box");
    const { hostKey: _, ...sandbox } = row.sandbox ?? assert.fail();
    await lab.ways.open({ ...row, sandbox }, signal);
    assert.deepEqual(lab.told, []);
  });

  test("come back with the daemon, and those of boxes that are gone do not", async () => {
    await using lab = new Lab();
    const [kept, gone] = [boxRow("kept", { ports: 1 }), boxRow("gone", { ports: 1 })];
    const before = await lab.ways.open(kept, signal);
    await lab.ways.open(gone, signal);
    await lab.restart();
    await lab.ways.restore([kept], signal);
    assert.deepEqual(lab.ways.of(kept.id), before);
    assert.deepEqual([lab.ways.of(gone.id), [...lab.doors.boxes]], [[], [kept.id]]);
    assert.deepEqual(
      lab.told.map(({ name }) => name),
      ["kept"],
    );
  });

  test("come back in their order, the first one first", async () => {
    await using lab = new Lab();
    const row = boxRow("box");
    for (const internal of [9_002, 9_001, 9_003]) await lab.ways.openPort(row.id, { internal, local: 0 }, signal);
    const internals = () => lab.ways.of(row.id).map(({ internal }) => internal);
    const before = internals();
    for (let life = 0; life < 2; life++) {
      await lab.restart();
      await lab.ways.restore([row], signal);
      assert.deepEqual(
        [before, internals()],
        [
          [9_002, 9_001, 9_003],
          [9_002, 9_001, 9_003],
        ],
      );
    }
  });

  test("are opened again though one of them cannot be, which is said", async () => {
    await using lab = new Lab();
    const folder = await mkdtemp(join(tmpdir(), "p2prc-ways-"));
    const [first, second] = [boxRow("first", { ports: 1 }), boxRow("second", { ports: 1 })];
    await lab.ways.open(first, signal);
    await mkdir(join(folder, "gone"));
    await lab.ways.openPort(first.id, { internal: 7, path: join(folder, "gone", "socket") }, signal);
    const before = [
      ...lab.ways.of(first.id).filter(({ internal }) => internal !== 7),
      ...(await lab.ways.open(second, signal)),
    ];
    await lab.restart();
    await rm(folder, { recursive: true });
    await assert.rejects(lab.ways.restore([first, second], signal), Failure);
    assert.deepEqual([...lab.ways.of(first.id), ...lab.ways.of(second.id)], before);
    assert.ok(lab.ways.sshPort(second.id));
    assert.deepEqual(
      lab.told.map(({ name }) => name),
      ["first", "second"],
    );
  });

  test("can be added and closed by hand, and end with the box", async () => {
    await using lab = new Lab();
    const row = boxRow("box");
    await lab.ways.open(row, signal);
    const port = await lab.ways.openPort(row.id, { internal: 80 }, signal);
    assert.equal(port.internal, 80);
    await lab.ways.closePort(row.id, 80);
    assert.deepEqual(lab.ways.of(row.id), []);
    await lab.ways.close(row.id);
    await lab.ways.close(row.id);
    assert.deepEqual([lab.told, [...lab.doors.boxes]], [[], []]);
  });
});

function boxRow(name: string, request: { readonly ports?: number } = {}): BoxRow {
  const id = name.padEnd(16, "a") as SandboxId;
  const sandbox = {
    id,
    name,
    guest: fakeId(9),
    state: "running" as const,
    runtime: "memory" as const,
    profile: "dev" as const,
    cpus: 1,
    memoryBytes: 2 ** 30,
    diskBytes: 2 ** 30,
    network: "none" as const,
    gpus: [],
    ports: request.ports ?? 0,
    made: 0,
    expires: 1,
    user: "root",
    hostKey,
  };
  return {
    id,
    name,
    node: fakeId(1),
    state: "held",
    request: { id, name, sshKey: hostKey, ...request },
    sandbox,
    at: 0,
  };
}

class Lab implements AsyncDisposable {
  readonly database = new DatabaseSync(":memory:");
  readonly urls = {
    open: async () => undefined,
    urlOf: ({ box, port }: { readonly box: string; readonly port: number | undefined }) =>
      `http://${port ?? "first"}.${box}`,
  };
  told: readonly SshBox[] = [];
  writes = 0;
  doors = this.#open();
  ways = this.#make();

  async restart(): Promise<void> {
    await this.doors[Symbol.asyncDispose]();
    this.doors = this.#open();
    this.ways = this.#make();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.doors[Symbol.asyncDispose]();
    this.database.close();
  }

  #open(): Doors {
    const connect = () => Promise.reject(new Error("nobody visits"));
    return new Doors({ database: this.database, connect, log: silentLog });
  }

  #make(): WaysIn {
    const write = async (boxes: readonly SshBox[]) => {
      this.told = boxes;
      this.writes++;
    };
    return new WaysIn({ doors: this.doors, files: { write }, nameOf: () => "attic", urls: this.urls });
  }
}
