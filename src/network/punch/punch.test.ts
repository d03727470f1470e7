import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { freePorts, LOOPBACK, PunchLab, until } from "../../../test/support/punch-lab.ts";
import { VirtualClock } from "../../../test/support/virtual-clock.ts";
import { systemClock } from "../../base/index.ts";
import { type Engine, loadEngine } from "./engine.ts";

const SECRET = "correct horse battery staple";

describe("Punch", () => {
  for (const asks of [true, false]) {
    test(`reaches a node by its key, to ${asks ? "ask" : "answer"} there, and each end knows the other's key`, async () => {
      await using lab = await PunchLab.open();
      const attic = await lab.node({ answers: true });
      const guest = await lab.node();
      const pipe = await guest.punch.dial({ id: attic.identity.id, asks }, lab.signal);
      await until(() => attic.pipes.length === 1);
      const [other] = attic.pipes;
      assert.deepEqual([pipe.peer, pipe.asks, pipe.path.kind], [attic.identity.id, asks, "punched"]);
      assert.deepEqual([other?.peer, other?.asks, other?.path.kind], [guest.identity.id, !asks, "punched"]);
      pipe.duplex.write("hello");
      const [word] = (await other?.duplex.take(1).toArray()) ?? [];
      assert.equal(String(word), "hello");
    });
  }

  test("reaches one that UDP reaches as well, and is reached by it", async () => {
    await using lab = await PunchLab.open();
    const attic = await lab.node({ answers: true });
    const garage = await lab.node({ answers: true, reachable: true, port: await freePorts(4) });
    const there = await attic.punch.dial({ id: garage.identity.id, asks: true }, lab.signal);
    const back = await garage.punch.dial({ id: attic.identity.id, asks: true }, lab.signal);
    assert.deepEqual([there.peer, back.peer], [garage.identity.id, attic.identity.id]);
  });

  test("offers a way at once to a node without addresses, and after 300 ms to others", async () => {
    await using lab = await PunchLab.open();
    const { punch, identity } = await lab.node();
    const { id } = (await lab.node()).identity;
    const delays = (endpoints: { host: string; port: number }[]) =>
      punch.ways({ id, endpoints, via: [] }).map(({ kind, delayMs }) => [kind, delayMs]);
    assert.deepEqual(delays([]), [["punched", 0]]);
    assert.deepEqual(delays([{ host: "198.51.100.7", port: 8088 }]), [["punched", 300]]);
    assert.deepEqual(punch.ways({ id: identity.id, endpoints: [], via: [] }), []);
  });

  test("opens nothing for a node that does not lend before it dials", async () => {
    await using lab = await PunchLab.open();
    const { punch } = await lab.node();
    assert.equal(punch.state.endpoints, 0);
    const nobody = assert.rejects(punch.dial({ id: lab.stranger(), asks: true }, lab.signal), {
      code: "unreachable",
      message: "nobody in the DHT knows where it is",
    });
    await nobody;
    assert.deepEqual([punch.state.endpoints, punch.state.answers], [1, false]);
    assert.ok(punch.state.nodesKnown >= 1);
  });

  test("says that nobody is known, and offers no way", async () => {
    await using lab = await PunchLab.open();
    const { punch } = await lab.node({ bootstrap: () => [] });
    assert.match(punch.state.reason ?? "", /no node of the network is known/);
    assert.deepEqual(punch.ways({ id: lab.stranger(), endpoints: [], via: [] }), []);
    await assert.rejects(punch.dial({ id: lab.stranger(), asks: true }, lab.signal), { code: "unreachable" });
    await assert.rejects(punch.find(lab.stranger(), lab.signal), { code: "unreachable" });
  });

  test("says that no node of the DHT answers, rather than that nobody knows the other", async () => {
    await using lab = await PunchLab.open();
    const nobody = { host: LOOPBACK, port: await freePorts(1) };
    const { punch } = await lab.node({ bootstrap: () => [nobody] });
    assert.equal(punch.hindrance(), undefined, "it may heal: it is tried");
    await assert.rejects(punch.dial({ id: lab.stranger(), asks: true }, lab.signal), {
      code: "unreachable",
      message: /^no node of the DHT answers: .* lets no UDP through$/,
    });
  });

  test("does without the native modules, and says why", async () => {
    await using lab = await PunchLab.open();
    const load = () => Promise.reject(new Error("libc.musl: no such file"));
    const { punch } = await lab.node({ load });
    await assert.rejects(punch.dial({ id: lab.stranger(), asks: true }, lab.signal), {
      code: "not-supported",
      message: /native modules of hyperdht do not load: libc\.musl/,
    });
    assert.deepEqual([punch.state.on, punch.ways({ id: lab.stranger(), endpoints: [], via: [] })], [false, []]);
    assert.match(punch.state.reason ?? "", /native modules/);
  });

  test("does nothing where a person turned it off", async () => {
    await using lab = await PunchLab.open();
    const load = () => Promise.reject(new Error("loaded"));
    const { punch } = await lab.node({ off: "it is turned off", load });
    assert.match(punch.state.reason ?? "", /turned off/);
    assert.deepEqual(punch.hindrance(), { kind: "punched", reason: "it is turned off" });
    await assert.rejects(punch.dial({ id: lab.stranger(), asks: true }, lab.signal), { message: /turned off/ });
  });

  test("follows its role: reachable with four ends, behind a NAT with one, not lending with none", async () => {
    await using lab = await PunchLab.open();
    const port = await freePorts(4);
    const attic = await lab.node({ answers: true, port });
    const guest = await lab.node();
    assert.equal(attic.punch.state.endpoints, 1);
    attic.punch.setRole({ answers: true, port, publicHost: LOOPBACK });
    await until(() => attic.punch.state.endpoints === 4);
    const pipe = await guest.punch.dial({ id: attic.identity.id, asks: true }, lab.signal);
    assert.equal(pipe.path.remote, `${LOOPBACK}:${port}`);
    await until(() => attic.pipes.length === 1);
    attic.punch.setRole({ answers: false, port });
    await until(() => !attic.punch.state.answers);
    pipe.duplex.write("hello");
    const [word] = (await attic.pipes[0]?.duplex.take(1).toArray()) ?? [];
    assert.equal(String(word), "hello", "what runs goes on");
    pipe.duplex.destroy();
    await until(() => attic.punch.state.endpoints === 0);
  });

  for (const isKnown of [false, true]) {
    test(`has the streams of ${isKnown ? "those it knows" : "strangers"} keep it from another role for ${isKnown ? "an hour" : "minutes"} at most`, async () => {
      await using lab = await PunchLab.open();
      const clock = new VirtualClock();
      const port = await freePorts(1);
      const attic = await lab.node({ answers: true, port, clock, isKnown: () => isKnown });
      const guest = await lab.node();
      const pipe = await guest.punch.dial({ id: attic.identity.id, asks: true }, lab.signal);
      await until(() => attic.pipes.length === 1);
      attic.punch.setRole({ answers: false, port });
      await until(() => !attic.punch.state.answers);
      const pass = async (minutes: number) => {
        await clock.advance(minutes * 60_000);
        await systemClock.sleep(50, lab.signal); // ends close in real time
        return attic.punch.state.endpoints;
      };
      assert.equal(await pass(1), 1, "what runs goes on");
      assert.equal(await pass(2), isKnown ? 1 : 0);
      if (isKnown) await until(async () => (await pass(15)) === 0);
      await until(() => pipe.duplex.destroyed);
    });
  }

  test("waits for a stream that it opened itself", async () => {
    await using lab = await PunchLab.open();
    const clock = new VirtualClock();
    const port = await freePorts(1);
    const attic = await lab.node({ answers: true });
    const guest = await lab.node({ answers: true, port, clock });
    const pipe = await guest.punch.dial({ id: attic.identity.id, asks: true }, lab.signal);
    guest.punch.setRole({ answers: false, port });
    await until(() => !guest.punch.state.answers);
    await clock.advance(10 * 60_000);
    await systemClock.sleep(50, lab.signal);
    assert.deepEqual([guest.punch.state.endpoints, pipe.duplex.destroyed], [1, false]);
    pipe.duplex.destroy();
    await until(async () => {
      await clock.advance(5_000);
      return guest.punch.state.endpoints === 0;
    });
  });

  test("answers again, or no more, while somebody is here", async () => {
    await using lab = await PunchLab.open();
    const port = await freePorts(1);
    const attic = await lab.node({ answers: true, port });
    const guest = await lab.node();
    const pipe = await guest.punch.dial({ id: attic.identity.id, asks: true }, lab.signal);
    await until(() => attic.pipes.length === 1);
    attic.punch.setRole({ answers: false, port });
    await until(() => !attic.punch.state.answers);
    attic.punch.setRole({ answers: true, port });
    await until(() => attic.punch.state.answers);
    const other = await lab.node();
    assert.equal((await other.punch.dial({ id: attic.identity.id, asks: true }, lab.signal)).peer, attic.identity.id);
    assert.equal(pipe.duplex.destroyed, false);
  });

  test("says that the DHT does not answer, where its end closes in the middle of a question", async () => {
    const mutableGet = () => Promise.reject(new Error("Node was destroyed"));
    await using lab = await PunchLab.open();
    const load = async (): Promise<Engine> => {
      const engine = await loadEngine();
      return { ...engine, openDht: (options) => Object.assign(engine.openDht(options), { mutableGet }) };
    };
    const { punch } = await lab.node({ load });
    await assert.rejects(punch.find(lab.stranger(), lab.signal), {
      code: "unreachable",
      message: /does not answer: Node was destroyed/,
    });
  });

  test("runs one end where enough others are reachable", async () => {
    await using lab = await PunchLab.open();
    const others = [1, 2, 3].map((n) => ({ host: `127.0.0.${n}`, port: lab.port }));
    const port = await freePorts(4);
    const cellar = await lab.node({ answers: true, reachable: true, port, bootstrap: () => others });
    assert.equal(cellar.punch.state.endpoints, 1);
  });

  test("finds where a node says that it is, by its key alone", async () => {
    await using lab = await PunchLab.open();
    const attic = await lab.node({ answers: true });
    const guest = await lab.node();
    const published = { endpoints: [{ host: "198.51.100.7", port: 8088 }], via: [] };
    await until(() => attic.punch.state.published);
    assert.deepEqual(await guest.punch.find(attic.identity.id, lab.signal), published);
    assert.equal(await guest.punch.find(lab.stranger(), lab.signal), undefined);
  });

  test("keeps the nodes it knew, and finds the network by them when nobody is known otherwise", async () => {
    const folder = await mkdtemp(join(tmpdir(), "p2prc-punch-"));
    const nodesPath = join(folder, "dht_nodes.json");
    try {
      await using lab = await PunchLab.open();
      const attic = await lab.node({ answers: true, nodesPath });
      await until(() => existsSync(nodesPath));
      const nodes = JSON.parse(await readFile(nodesPath, "utf8"));
      assert.ok(nodes.some(({ port }: { port: number }) => port === lab.port));
      const lost = await lab.node({ answers: true, nodesPath, bootstrap: () => [] });
      const pipe = await lost.punch.dial({ id: attic.identity.id, asks: true }, lab.signal);
      assert.equal(pipe.peer, attic.identity.id);
      await writeFile(nodesPath, '[{"host":"::1","port":0}]');
      const damaged = await lab.node({ nodesPath, bootstrap: () => [] });
      await assert.rejects(damaged.punch.dial({ id: attic.identity.id, asks: true }, lab.signal));
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test("is announced anew where all of the DHT started anew, and has forgotten it", async () => {
    await using lab = await PunchLab.open();
    const clock = new VirtualClock();
    const attic = await lab.node({ answers: true, clock });
    const guest = await lab.node();
    const dial = () => guest.punch.dial({ id: attic.identity.id, asks: true }, lab.signal);
    await lab.first?.[Symbol.asyncDispose]();
    await lab.node({ reachable: true, answers: true, port: lab.port, bootstrap: () => [] });
    await assert.rejects(dial(), { code: "unreachable" });
    await clock.advance(30_000);
    await until(async () => (await dial().catch(() => undefined)) !== undefined);
  });

  test("keeps to its own network where that has a secret", async () => {
    await using lab = await PunchLab.open({ networkSecret: SECRET });
    const attic = await lab.node({ answers: true, networkSecret: SECRET });
    const inside = await lab.node({ networkSecret: SECRET });
    assert.equal((await inside.punch.dial({ id: attic.identity.id, asks: true }, lab.signal)).peer, attic.identity.id);
    const { id } = attic.identity;
    const stop = new AbortController();
    const tries = [{}, { networkSecret: `${SECRET}!` }].map(async (options) => {
      const outside = await lab.node(options);
      await assert.rejects(outside.punch.dial({ id, asks: true }, stop.signal));
    });
    await systemClock.sleep(500, lab.signal);
    assert.equal(attic.pipes.length, 1);
    assert.deepEqual([attic.punch.state.pending, attic.punch.state.connections], [0, 1]);
    stop.abort(new Error("enough"));
    await Promise.all(tries);
  });

  test("ends with the reason of its signal, also in mid-punch", async () => {
    await using lab = await PunchLab.open();
    const { punch } = await lab.node();
    await assert.rejects(
      punch.dial({ id: lab.stranger(), asks: true }, AbortSignal.abort(new Error("enough"))),
      /enough/,
    );
    const stop = new AbortController();
    const dialling = assert.rejects(punch.dial({ id: lab.stranger(), asks: true }, stop.signal), /enough/);
    stop.abort(new Error("enough"));
    await dialling;
  });

  test("has no more dials under way than it may", async () => {
    await using lab = await PunchLab.open();
    const attic = await lab.node({ answers: true });
    const guest = await lab.node({ maxDials: 1, seed: randomBytes(32) });
    const dials = [1, 2, 3].map(() => guest.punch.dial({ id: attic.identity.id, asks: true }, lab.signal));
    const ids = (await Promise.all(dials)).map(({ peer }) => peer);
    assert.deepEqual(ids, [attic.identity.id, attic.identity.id, attic.identity.id]);
  });
});
