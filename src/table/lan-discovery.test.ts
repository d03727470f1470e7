import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { SignedNode } from "../../test/support/signed-node.ts";
import { type House, Village } from "../../test/support/village.ts";
import { Scope, silentLog, Topic } from "../base/index.ts";
import { type Endpoint, Failure } from "../core/index.ts";
import { LanDiscovery, type Multicast, type MulticastPacket, SERVICE } from "./lan-discovery.ts";

const attic = new SignedNode(50);

describe("LanDiscovery", () => {
  test("asks who is there, and says who it is, at once and then ever more rarely", async () => {
    await using lab = await Lab.open();
    assert.deepEqual(
      lab.sent.map(({ kind }) => kind),
      ["query", "response"],
    );
    await lab.village.clock.advance(600_000);
    const queries = lab.sent.filter(({ kind }) => kind === "query").length;
    assert.ok(queries > 8 && queries < 12, String(queries));
  });

  test("does not begin anew when it opens the same interfaces again, and does at other ones", async () => {
    await using lab = await Lab.open();
    const queries = () => lab.sent.filter(({ kind }) => kind === "query").length;
    await lab.village.clock.advance(3_600_000);
    const [opened, asked] = [lab.opened, queries()];
    assert.ok(opened >= 12 && asked < 18, `${opened} times opened, ${asked} times asked`);
    lab.addresses[0] = "192.168.7.2";
    await lab.village.clock.advance(420_000);
    assert.ok(queries() - asked >= 7, String(queries() - asked));
  });

  test("announces its id, its port and its addresses on the LAN", async () => {
    await using lab = await Lab.open();
    const answers = lab.sent.find(({ kind }) => kind === "response")?.answers ?? [];
    assert.deepEqual(
      answers.map(({ type }) => type),
      ["PTR", "SRV", "TXT", "A"],
    );
    assert.deepEqual(answers[1]?.name, `${lab.me.id}.${SERVICE}`);
    assert.deepEqual(answers[1]?.data, { port: 8088, target: `${lab.me.id}.local`, weight: 0, priority: 0 });
  });

  test("says nothing of itself while nobody can dial it", async () => {
    await using lab = await Lab.open({ listens: false });
    assert.deepEqual(
      lab.sent.map(({ kind }) => kind),
      ["query"],
    );
  });

  test("says who it is as soon as it begins to listen", async () => {
    await using lab = await Lab.open({ listens: false });
    await lab.village.clock.advance(16_000);
    lab.listens = true;
    lab.sent.length = 0;
    await lab.village.clock.advance(1_000);
    assert.deepEqual(
      lab.sent.map(({ kind }) => kind),
      ["response"],
    );
    await lab.village.clock.advance(5_000);
    assert.equal(lab.sent.length, 1);
  });

  test("says nothing of itself on an interface at whose address nobody answers", async () => {
    await using lab = await Lab.open({ listensAt: (address) => address === "127.0.0.1" });
    assert.deepEqual(
      lab.sent.map(({ kind }) => kind),
      ["query"],
    );
  });

  test("names no address on which it does not listen", async () => {
    await using lab = await Lab.open({ listensAt: (address) => address === "192.168.0.2" });
    lab.addresses.push("192.168.0.3");
    await lab.village.clock.advance(1_000);
    const named = lab.sent.flatMap(({ answers }) => answers).filter(({ type }) => type === "A");
    assert.deepEqual([...new Set(named.map(({ data }) => data))], ["192.168.0.2"]);
  });

  test("dials the sender of an answer, and believes the key alone", async () => {
    await using lab = await Lab.open();
    lab.hear(lab.answerOf(attic));
    assert.deepEqual(lab.me.table.get(attic.id)?.state, "heard");
    assert.deepEqual(lab.visited, [attic.id]);
    assert.deepEqual(lab.me.table.get(attic.id)?.hints, [
      { endpoint: { host: "192.168.0.9", port: 7 }, source: "lan" },
    ]);
  });

  test("uses no address that an answer names", async () => {
    await using lab = await Lab.open();
    const packet = lab.answerOf(attic);
    lab.hear({ ...packet, answers: [...packet.answers, { name: "x", type: "A", data: "203.0.113.9" }] });
    assert.deepEqual(lab.me.table.dialable(lab.me.table.get(attic.id) ?? assert.fail()).endpoints, [
      { host: "192.168.0.9", port: 7 },
    ]);
  });

  test("answers a question within 120 ms, and not twice in a second", async () => {
    await using lab = await Lab.open();
    await lab.village.clock.advance(40_000);
    const answers = () => lab.sent.filter(({ kind }) => kind === "response").length;
    const before = answers();
    const query: MulticastPacket = { kind: "query", questions: [{ name: SERVICE, type: "PTR" }], answers: [] };
    for (let i = 0; i < 5; i++) lab.hear(query);
    await lab.village.clock.advance(120);
    assert.equal(answers() - before, 1);
    lab.hear({ ...query, questions: [{ name: "_http._tcp.local", type: "PTR" }] });
    await lab.village.clock.advance(900);
    assert.equal(answers() - before, 1);
  });

  test("does not dial the same node at the same place every time it is heard", async () => {
    await using lab = await Lab.open();
    for (let i = 0; i < 10; i++) lab.hear(lab.answerOf(attic));
    assert.equal(lab.visited.length, 1);
  });

  test("leaves a flood from one host at ten nodes, and a flood from many at 64", async () => {
    await using lab = await Lab.open();
    for (let i = 0; i < 1_000; i++) lab.hear(lab.answerOf(new SignedNode(100 + i)));
    assert.ok(lab.me.table.rows.size <= 10, String(lab.me.table.rows.size));
    for (let i = 0; i < 10_000; i++) {
      const node = new SignedNode(10_000 + (i % 200));
      lab.hear(lab.answerOf(node), `192.168.${i % 250}.${(i >> 3) % 250}`);
      if (i % 100 === 0) await lab.village.clock.advance(1_000);
    }
    assert.ok(lab.me.table.rows.size <= 64, String(lab.me.table.rows.size));
    assert.ok(lab.mostVisits <= 4, String(lab.mostVisits));
  });

  test("looks who answers where somebody else says that he is this node, and not where it hears itself", async () => {
    await using lab = await Lab.open();
    const own = lab.answerOf(lab.me.node, 8088);
    lab.hear(own, "192.168.0.2");
    assert.deepEqual(lab.identified, []);
    for (let i = 0; i < 3; i++) lab.hear(own, "192.168.0.7");
    lab.hear(lab.answerOf(lab.me.node, 8089), "192.168.0.2"); // on this very machine
    await lab.village.clock.advance(0);
    assert.deepEqual(lab.identified, ["192.168.0.7:8088", "192.168.0.2:8089"]);
    assert.equal(lab.me.table.rows.size, 0);
  });

  for (const [what, answers] of [
    ["no id", [{ name: `attic.${SERVICE}`, type: "SRV", data: { port: 1 } }]],
    ["no port", [{ name: `${attic.id}.${SERVICE}`, type: "SRV", data: {} }]],
    ["a port that is none", [{ name: `${attic.id}.${SERVICE}`, type: "SRV", data: { port: 65_536 } }]],
    ["nothing where the port belongs", [{ name: `${attic.id}.${SERVICE}`, type: "SRV", data: undefined }]],
    ["another service", [{ name: `${attic.id}._http._tcp.local`, type: "SRV", data: { port: 1 } }]],
  ] as const) {
    test(`passes over an answer with ${what}`, async () => {
      await using lab = await Lab.open();
      lab.hear({ kind: "response", questions: [], answers });
      assert.equal(lab.me.table.rows.size, 0);
    });
  }

  test("looks for interfaces again every five minutes, and lets go of the old ones", async () => {
    await using lab = await Lab.open();
    await lab.village.clock.advance(300_000);
    assert.deepEqual([lab.opened, lab.listeners], [2, 1]);
  });

  test("looks around at once where the machine was carried to", async () => {
    await using lab = await Lab.open();
    await lab.village.clock.advance(10_000);
    lab.moves.publish();
    await lab.village.clock.advance(0);
    assert.deepEqual([lab.opened, lab.listeners], [2, 1]);
  });

  test("names the port that it listens on, whatever a router made of it outside", async () => {
    await using lab = await Lab.open();
    lab.port = 4711;
    await lab.village.clock.advance(1_500);
    const srv = lab.sent.flatMap(({ answers }) => answers).filter(({ type }) => type === "SRV");
    assert.equal((srv.at(-1)?.data as { port: number } | undefined)?.port, 4711);
  });

  test("ends when it is aborted, and leaves nothing behind", async () => {
    const lab = await Lab.open();
    lab.hear(lab.answerOf(attic));
    await lab[Symbol.asyncDispose]();
    assert.deepEqual([lab.village.clock.sleeperCount, lab.listeners], [0, 0]);
  });
});

interface Listening {
  readonly listens?: boolean;
  readonly listensAt?: (address: string) => boolean;
}

/** A node on a LAN of one interface, on which the test plays everybody else. */
class Lab implements AsyncDisposable {
  readonly village = new Village();
  readonly me: House = this.village.add(1);
  readonly scope = new Scope();
  readonly sent: MulticastPacket[] = [];
  readonly visited: string[] = [];
  readonly identified: string[] = [];
  readonly addresses = ["192.168.0.2"];
  listens = true;
  mostVisits = 0;
  opened = 0;
  readonly moves = new Topic<void>();
  /** Where it listens, if its record says another port. */
  port: number | undefined;
  readonly #listeners = new Set<(packet: MulticastPacket, from: string) => void>();
  #visits = 0;

  static async open({ listens = true, listensAt = () => true }: Listening = {}): Promise<Lab> {
    const lab = new Lab();
    lab.listens = listens;
    const { clock, random } = lab.village;
    const visit = async (id: string, _options: unknown, signal: AbortSignal) => {
      lab.visited.push(id);
      lab.mostVisits = Math.max(lab.mostVisits, ++lab.#visits);
      await clock.sleep(100, signal).finally(() => lab.#visits--);
      return { kind: "failed", why: "unreachable" } as const;
    };
    const self = () => (lab.listens ? lab.me.own : undefined);
    const open = async () => lab.#interfaces();
    const { table } = lab.me;
    const identify = async ({ host, port }: Endpoint) => {
      lab.identified.push(`${host}:${port}`);
      throw new Failure("unreachable", "a copy of this node answers there");
    };
    const onMove = (listener: () => void) => lab.moves.on(listener);
    const port = () => lab.port ?? self()?.record.port ?? 0;
    const world = { id: lab.me.id, self, listensAt, port, onMove, identify, open, clock, random, log: silentLog };
    const discovery = new LanDiscovery({ table, visitor: { visit }, ...world });
    lab.scope.spawn((signal) => discovery.run(signal));
    await clock.advance(0);
    return lab;
  }

  get listeners(): number {
    return this.#listeners.size;
  }

  hear(packet: MulticastPacket, from = "192.168.0.9"): void {
    for (const listener of this.#listeners) listener(packet, from);
  }

  answerOf(node: SignedNode, port = 7): MulticastPacket {
    const name = `${node.id}.${SERVICE}`;
    return { kind: "response", questions: [], answers: [{ name, type: "SRV", data: { port, target: "x.local" } }] };
  }

  #interfaces(): Multicast[] {
    this.opened++;
    return [
      {
        addresses: this.addresses,
        send: (packet) => void this.sent.push(packet),
        onPacket: (listener) => {
          this.#listeners.add(listener);
          return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
        },
      },
    ];
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.scope.close();
  }
}
