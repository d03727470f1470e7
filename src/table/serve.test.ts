import assert from "node:assert/strict";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { describe, test } from "node:test";
import { fakeId, FakeLink, MemoryApp, replyOf } from "../../test/support/fake-link.ts";
import { SignedNode } from "../../test/support/signed-node.ts";
import { TinyDisk } from "../../test/support/tiny-disk.ts";
import { VirtualClock } from "../../test/support/virtual-clock.ts";
import { seededRandom, silentLog } from "../base/index.ts";
import { AllowedNetworks, type Endpoint, Failure, type NodeId, type Role, verifyRecord } from "../core/index.ts";
import type { Link, LinkRequest } from "../network/index.ts";
import { openDatabase } from "../store/index.ts";
import type { NodeRow, NodesReply, TableReply } from "./contract.ts";
import { IpTable } from "./ip-table.ts";
import { serveTable } from "./serve.ts";

const never = new AbortController().signal;
const attic = new SignedNode(1);
const barn = new SignedNode(2);
const cellar = new SignedNode(3);

describe("POST /v1/table", () => {
  test("answers with itself and what it verified, signed by each", async () => {
    await using lab = await Lab.open("stranger");
    lab.verify(attic);
    lab.hear(barn);
    const { status, body } = await lab.ask<TableReply>({ limit: 250 });
    assert.equal(status, 200);
    assert.deepEqual(
      body.records.map((signed) => verifyRecord(signed).id),
      [lab.me.id, attic.id],
    );
  });

  test("hears who asks, when it says so itself", async () => {
    await using lab = await Lab.open("stranger");
    assert.equal((await lab.ask({ limit: 1, record: lab.caller.sign() })).status, 200);
    assert.equal(lab.table.nodes.get(lab.caller.id)?.root, "announced");
  });

  test("refuses the record of somebody else, and a broken one", async () => {
    await using lab = await Lab.open("stranger");
    const record = lab.caller.sign();
    for (const bad of [barn.sign(), { ...record, signature: barn.sign().signature }]) {
      assert.equal((await lab.ask({ limit: 1, record: bad })).status, 400);
    }
    assert.equal(lab.table.nodes.rows.size, 0);
  });

  for (const body of [
    {},
    { limit: 251 },
    { limit: -1 },
    { limit: 1, since: "x" },
    { limit: 1, known: { salt: 1, bits: "!" } },
  ]) {
    test(`refuses ${JSON.stringify(body)}`, async () => {
      await using lab = await Lab.open("stranger");
      assert.equal((await lab.ask(body)).status, 400);
    });
  }

  test("refuses a question that is too large", async () => {
    await using lab = await Lab.open("stranger");
    const { status } = await lab.ask({ limit: 1, known: { salt: 1, bits: "A".repeat(40_000) } });
    assert.equal(status, 413);
  });

  test("answers one machine with many keys and many addresses as often as one address", async () => {
    await using lab = await Lab.open("stranger");
    const statuses = [];
    for (let i = 0; i < 401; i++) {
      lab.app.caller = { kind: "node", id: fakeId(i % 200), remote: `[2001:db8::${(i + 1).toString(16)}]:5000` };
      statuses.push((await lab.ask({ limit: 0 })).status);
    }
    assert.deepEqual([statuses.filter((status) => status === 200).length, statuses.at(-1)], [400, 429]);
  });

  test("answers 40 questions at once, and then one every two seconds", async () => {
    await using lab = await Lab.open("stranger");
    const statuses = [];
    for (let i = 0; i < 41; i++) statuses.push((await lab.ask({ limit: 0 })).status);
    assert.deepEqual([statuses.filter((status) => status === 200).length, statuses.at(-1)], [40, 429]);
    await lab.clock.advance(2_000);
    assert.equal((await lab.ask({ limit: 0 })).status, 200);
  });
});

describe("GET /v1/nodes", () => {
  test("lists joined nodes best first, and counts strangers", async () => {
    await using lab = await Lab.open();
    lab.verify(attic, barn, cellar);
    lab.join(attic);
    lab.join(barn);
    lab.table.note(attic.id, { rttMs: 30 });
    lab.table.note(barn.id, { rttMs: 3 });
    const { body } = await lab.get<NodesReply>("/v1/nodes");
    assert.deepEqual([body.nodes.map(({ id }) => id), body.strangers], [[barn.id, attic.id], 1]);
  });

  test("lists strangers behind them when it is asked to", async () => {
    await using lab = await Lab.open();
    lab.verify(attic, barn);
    lab.join(attic);
    const { body } = await lab.get<NodesReply>("/v1/nodes?all=true");
    assert.deepEqual(
      body.nodes.map(({ relation }) => relation),
      ["friend", "stranger"],
    );
  });
});

describe("GET /v1/nodes/:node", () => {
  test("shows all that is known of a node", async () => {
    await using lab = await Lab.open();
    lab.verify(attic);
    lab.join(attic);
    lab.grants.add(attic.id);
    lab.table.note(attic.id, { rttMs: 28.17247123, jitterMs: 1, downBytesPerSecond: 41.2e6, upBytesPerSecond: 11e6 });
    const { body } = await lab.get<NodeRow>("/v1/nodes/node-1");
    const { rank, resources, ...rest } = body;
    assert.deepEqual(rest, {
      name: "node-1",
      claimedName: "node-1",
      id: attic.id,
      relation: "friend",
      state: "verified",
      path: "tcp4",
      rttMs: 28.172,
      jitterMs: 1,
      downBytesPerSecond: 41_200_000,
      upBytesPerSecond: 11_000_000,
      addresses: [attic.address],
      port: 8088,
      nat: "none",
      via: [],
      viaNames: [],
      lends: true,
      grant: {},
      lastSeen: "2026-01-01T00:00:00.000Z",
      version: "0.1.0",
      labels: [],
      info: "",
    });
    assert.equal(resources?.cpus, 4);
    assert.ok(rank.score > 1_200);
  });

  test("shows a friend of whom nothing is known but the id", async () => {
    await using lab = await Lab.open();
    lab.table.befriend({ id: barn.id, relation: "friend", endpoints: [{ host: "barn.example", port: 9 }] });
    const { body } = await lab.get<NodeRow>(`/v1/nodes/${barn.id}`);
    assert.deepEqual(
      [body.addresses, body.port, body.state, "rttMs" in body, "version" in body],
      [["barn.example"], 9, "heard", false, false],
    );
  });

  test("says that nobody, or more than one, is called so", async () => {
    await using lab = await Lab.open();
    for (const node of [attic, barn])
      lab.table.befriend({ id: node.id, relation: "friend", name: "home", endpoints: [] });
    assert.equal((await lab.get("/v1/nodes/nobody")).status, 404);
    assert.equal((await lab.get("/v1/nodes/hom")).status, 409);
  });
});

describe("PATCH and DELETE /v1/nodes/:node", () => {
  test("give a joined node another name, which lasts", async () => {
    await using lab = await Lab.open();
    lab.verify(attic);
    lab.join(attic);
    const { body } = await lab.send<NodeRow>("PATCH", "/v1/nodes/node-1", { name: "attic" });
    assert.equal(body.name, "attic");
    await using again = await Lab.open("local", lab);
    assert.equal((await again.get<NodeRow>("/v1/nodes/attic")).body.id, attic.id);
  });

  test("give no name to a stranger, and no bad name to anybody", async () => {
    await using lab = await Lab.open();
    lab.verify(attic);
    assert.equal((await lab.send("PATCH", `/v1/nodes/${attic.id}`, { name: "x" })).status, 403);
    lab.join(attic);
    assert.equal((await lab.send("PATCH", "/v1/nodes/node-1", { name: "\u202ex" })).status, 400);
  });

  test("remove a node", async () => {
    await using lab = await Lab.open();
    lab.verify(attic);
    lab.join(attic);
    assert.deepEqual((await lab.send("DELETE", "/v1/nodes/node-1")).body, { id: attic.id, name: "node-1" });
    assert.equal((await lab.get("/v1/nodes/node-1")).status, 404);
  });
});

describe("what a person decides on a full disk", () => {
  test("is refused, and nothing of it is there: neither now nor in the next life", async (t) => {
    await using disk = await TinyDisk.mount(t);
    if (disk === undefined) return;
    await using lab = await Lab.open("local", { database: openDatabase(join(disk.path, "state.sqlite")) });
    lab.verify(attic, cellar);
    lab.join(attic);
    await disk.fill();
    const path = "/v1/nodes/node-1";
    const told = await lab.send<{ error: { code: string } }>("PATCH", path, { name: "attic" });
    assert.deepEqual([told.status, told.body.error.code], [507, "disk-full"]);
    assert.equal((await lab.send("DELETE", path)).status, 507);
    assert.throws(() => lab.join(barn), { code: "disk-full" });
    assert.throws(() => lab.join(cellar), { code: "disk-full" });
    const shown = async (each: Lab) => (await each.get<NodesReply>("/v1/nodes")).body.nodes.map(({ name }) => name);
    assert.deepEqual(await shown(lab), ["node-1"]);
    assert.deepEqual([lab.table.nodes.get(barn.id), lab.table.relationOf(cellar.id)], [undefined, undefined]);
    await using again = await Lab.open("local", lab);
    assert.deepEqual(await shown(again), ["node-1"]);
    await disk.clear();
    assert.equal((await lab.send("PATCH", path, { name: "attic" })).status, 200);
    lab.join(cellar);
    await using last = await Lab.open("local", lab);
    assert.deepEqual((await shown(last)).sort(), ["attic", "node-3"]);
  });
});

describe("POST /v1/nodes/identify", () => {
  test("says who answers there, and whether it is known", async () => {
    await using lab = await Lab.open();
    lab.answersAt("attic.example", attic);
    const { body } = await lab.send("POST", "/v1/nodes/identify", { address: "attic.example" });
    assert.deepEqual(body, { id: attic.id, name: "node-1", version: "0.1.0", address: "attic.example:8088" });
    lab.table.befriend({ id: attic.id, relation: "own", name: "a", endpoints: [] });
    const again = await lab.send<{ known?: unknown }>("POST", "/v1/nodes/identify", { address: "attic.example" });
    assert.deepEqual(again.body.known, { name: "a", relation: "own" });
  });

  test("refuses who describes somebody else, who does not answer, and what is no address", async () => {
    await using lab = await Lab.open();
    lab.answersAt("liar.example", attic, barn.sign());
    const statuses = [];
    for (const address of ["liar.example", "nobody.example", "a b"]) {
      statuses.push((await lab.send("POST", "/v1/nodes/identify", { address })).status);
    }
    assert.deepEqual(statuses, [502, 504, 400]);
  });
});

describe("POST /v1/nodes", () => {
  test("makes a friend of the node, and of what it says of itself a row", async () => {
    await using lab = await Lab.open();
    lab.answersAt("attic.example", attic);
    const { body } = await lab.send<NodeRow>("POST", "/v1/nodes", { address: "attic.example", id: attic.id });
    assert.deepEqual([body.relation, body.state, body.name, body.rttMs], ["friend", "verified", "node-1", 7]);
  });

  test("keeps a friend that does not answer yet, and goes on trying", async () => {
    await using lab = await Lab.open();
    const { status, body } = await lab.send<NodeRow>("POST", "/v1/nodes", { address: "attic.example:9", id: attic.id });
    assert.deepEqual([status, body.relation, body.state, body.port], [200, "friend", "trying", 9]);
  });

  test("adds nobody where another key answers", async () => {
    await using lab = await Lab.open();
    lab.answersAt("attic.example", attic);
    assert.equal((await lab.send("POST", "/v1/nodes", { address: "attic.example", id: barn.id })).status, 502);
    assert.equal(lab.table.nodes.rows.size, 0);
  });
});

describe("POST /v1/nodes/update", () => {
  test("walks the network, and ends with what came of it", async () => {
    await using lab = await Lab.open();
    lab.hear(attic);
    lab.answersAt(attic.address, attic);
    const { stream } = await lab.request("POST", "/v1/nodes/update", { hops: 2 });
    const reading = text(stream);
    for (let i = 0; i < 20; i++) await lab.clock.advance(10);
    const lines = (await reading)
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    const { result } = lines.at(-1) as { result: { answered: number; hops: number } };
    assert.deepEqual([result.answered, result.hops, "progress" in (lines[0] ?? {})], [1, 1, true]);
  });

  test("refuses a walk without end", async () => {
    await using lab = await Lab.open();
    assert.equal((await lab.send("POST", "/v1/nodes/update", { hops: 99 })).status, 400);
  });
});

/** A daemon's table behind its routes. The test says who asks, and who answers where. */
class Lab implements AsyncDisposable {
  readonly clock = new VirtualClock();
  readonly me = new SignedNode(9);
  readonly caller = new SignedNode(8);
  readonly grants = new Set<NodeId>();
  readonly database;
  readonly table: IpTable;
  app!: MemoryApp;
  readonly #answering = new Map<string, FakeLink>();

  static async open(role: Role = "local", last?: Pick<Lab, "database">): Promise<Lab> {
    const lab = new Lab(last?.database ?? openDatabase(":memory:"));
    const remote = "192.0.2.2:5000";
    const caller =
      role === "local" ? ({ kind: "local" } as const) : ({ kind: "node", id: lab.caller.id, remote } as const);
    const { table, clock } = lab;
    lab.app = await MemoryApp.open(caller, role, async (app) => {
      await app.register(serveTable({ table, clock, log: silentLog }));
    });
    return lab;
  }

  private constructor(database: ReturnType<typeof openDatabase>) {
    this.database = database;
    this.table = IpTable.open({
      id: this.me.id,
      self: () => this.me.versioned(),
      reach: {
        existing: () => undefined,
        link: async (target) => this.#dial(target.endpoints, target.id),
      },
      identify: async (endpoint) => this.#dial([endpoint]),
      ping: async () => ({ rttMs: 7, jitterMs: 0 }),
      grantOf: (id) => (this.grants.has(id) ? {} : undefined),
      allowed: AllowedNetworks.parse([]),
      database,
      filePath: "/nowhere/ip_table.json",
      clock: this.clock,
      random: seededRandom(1),
      log: silentLog,
    });
  }

  hear(node: SignedNode): void {
    this.table.nodes.learn([node.sign()], { kind: "person" });
  }

  verify(...nodes: readonly SignedNode[]): void {
    for (const node of nodes) {
      this.hear(node);
      this.table.nodes.answered(node.id, { kind: "tcp4", remote: `${node.address}:8088` });
    }
  }

  join(node: SignedNode): void {
    this.table.befriend({ id: node.id, relation: "friend", endpoints: [] });
  }

  /** `node` answers at `host`, and describes itself so. */
  answersAt(host: string, node: SignedNode, record = node.sign()): void {
    const table = { records: [record], cursor: `${"0".repeat(16)}.0`, more: false };
    const body = (path: string) => (path === "/v1/node" ? { record, version: "0.1.0", boot: "x" } : table);
    const answer = ({ path }: LinkRequest) => replyOf(200, body(path));
    this.#answering.set(host, new FakeLink({ clock: this.clock, peer: node.id, answer }));
  }

  #dial(endpoints: readonly Endpoint[], id?: NodeId): Link {
    const link = endpoints.map(({ host }) => this.#answering.get(host)).find((found) => found !== undefined);
    if (link === undefined) throw new Failure("unreachable", "nobody there");
    if (id !== undefined && link.peer !== id) throw new Failure("wrong-key", "another key answers there");
    return link;
  }

  ask<T = unknown>(body: unknown) {
    return this.send<T>("POST", "/v1/table", body);
  }

  get<T = unknown>(path: string) {
    return this.send<T>("GET", path);
  }

  async request(method: LinkRequest["method"], path: string, body?: unknown) {
    const reply = await this.app.answer({ method, path, ...(body === undefined ? {} : { body }) }, never);
    return { status: reply.status, stream: reply.body };
  }

  async send<T = unknown>(
    method: LinkRequest["method"],
    path: string,
    body?: unknown,
  ): Promise<{ status: number; body: T }> {
    const { status, stream } = await this.request(method, path, body);
    return { status, body: JSON.parse(await text(stream)) as T };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.app[Symbol.asyncDispose]();
    await this.table[Symbol.asyncDispose]();
  }
}
