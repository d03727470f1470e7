import assert from "node:assert/strict";
import { once } from "node:events";
import { PassThrough, Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { setImmediate as turn } from "node:timers/promises";
import { describe, test } from "node:test";
import { fakeId, FakeLink, fakeReach, MemoryApp } from "../../test/support/fake-link.ts";
import { VirtualClock } from "../../test/support/virtual-clock.ts";
import { silentLog } from "../base/index.ts";
import { Failure, type NodeId, type Role } from "../core/index.ts";
import type { Link } from "../network/index.ts";
import { askDownload, askSpecs, askUpload } from "./ask.ts";
import { MAX_TEST_BYTES, type Specs } from "./contract.ts";
import { KEPT_MS } from "./turns.ts";
import { serveMeasure } from "./serve.ts";
import { type SpeedNote, SpeedTests } from "./speed-tests.ts";

const never = new AbortController().signal;
const MB = 1_000_000;

describe("a speed test between two nodes", () => {
  test("tells both ends both speeds", async () => {
    await using lab = await Lab.open("guest");
    const tests = new SpeedTests({ clock: lab.clock, note: (id, speed) => lab.asked.push([id, speed]) });
    const speed = await tests.run(lab.link, {}, never);
    assert.equal(speed.down.bytes, MAX_TEST_BYTES);
    assert.equal(speed.up.bytes, MAX_TEST_BYTES);
    assert.deepEqual(
      lab.asked.map(([id, note]) => [id, Object.keys(note)]),
      [
        [lab.link.peer, ["downBytesPerSecond", "at"]],
        [lab.link.peer, ["upBytesPerSecond", "at"]],
      ],
    );
    assert.deepEqual(
      lab.served.map(([id, note]) => [id, Object.keys(note)]),
      [[lab.guest, ["downBytesPerSecond", "upBytesPerSecond", "at"]]],
    );
  });

  test("moves no more than was asked for", async () => {
    await using lab = await Lab.open("guest");
    assert.equal((await lab.download(3 * MB)).bytes, 3 * MB);
  });

  test("is served to one at a time, and says when to come again", async () => {
    await using lab = await Lab.open("guest");
    const stopped = await lab.beginDownload();
    lab.app.caller = { kind: "node", id: fakeId(9), remote: "192.0.2.9" };
    await assert.rejects(
      lab.download(),
      (error) => error instanceof Failure && error.code === "busy" && /again in 23 s/.test(error.hint ?? ""),
    );
    leave(stopped);
  });

  test("keeps the turn between its two halves, and gives it up after that", async () => {
    await using lab = await Lab.open("guest");
    await lab.download(MB);
    lab.app.caller = { kind: "node", id: fakeId(9), remote: "192.0.2.9" };
    await assert.rejects(lab.download(MB), { code: "busy" });
    await lab.clock.advance(KEPT_MS);
    assert.equal((await lab.download(MB)).bytes, MB);
  });

  test("is rationed for strangers: one an hour", async () => {
    await using lab = await Lab.open("stranger");
    await lab.download(MB);
    await lab.upload(MB);
    await assert.rejects(
      lab.download(MB),
      (error) => error instanceof Failure && error.code === "too-often" && /60 min/.test(error.hint ?? ""),
    );
    await lab.clock.advance(3_600_000);
    assert.equal((await lab.download(MB)).bytes, MB);
  });

  test("is rationed for strangers: 200 MB a day, both ways together", async () => {
    await using lab = await Lab.open("stranger");
    await lab.download();
    await lab.upload(MAX_TEST_BYTES);
    await lab.clock.advance(3_600_000);
    await lab.download();
    await lab.upload(MAX_TEST_BYTES - 100_000);
    await lab.clock.advance(3_600_000);
    await assert.rejects(
      lab.download(MB),
      (error) => error instanceof Failure && error.code === "too-often" && /22 h/.test(error.hint ?? ""),
    );
  });

  test("is not rationed like a stranger's for a friend without a grant", async () => {
    await using lab = await Lab.open("stranger");
    lab.friends.add(lab.guest);
    await lab.download(MB);
    await lab.download(MB);
  });

  test("gives a known node 20 an hour", async () => {
    await using lab = await Lab.open("guest");
    for (let i = 0; i < 20; i++) await lab.download(MB);
    await assert.rejects(lab.download(MB), { code: "too-often" });
  });

  test("does not believe an asker who says that more came, or faster, than was sent", async () => {
    await using lab = await Lab.open("guest");
    await lab.download(MB);
    await askUpload(lab.link, { ...lab.options(MB), downloaded: { bytes: 10 ** 15, ms: 0 } }, never);
    const [[, note] = []] = lab.served;
    assert.ok((note?.upBytesPerSecond ?? 0) <= MB * 1_000, `${note?.upBytesPerSecond}`);
  });

  test("ends when the asker leaves in the middle, and is free again", async () => {
    await using lab = await Lab.open("guest");
    leave(await lab.beginDownload());
    await turns();
    await lab.clock.advance(KEPT_MS);
    assert.equal((await lab.download(MB)).bytes, MB);
  });

  test("is cut off when the asker stops reading", async () => {
    await using lab = await Lab.open("guest");
    const body = await lab.beginDownload();
    for (let i = 0; i < 50; i++) await turns(); // until every window on the way is full
    await lab.clock.advance(12_000);
    await lab.clock.advance(KEPT_MS);
    assert.equal((await lab.download(MB)).bytes, MB);
    leave(body);
  });
});

describe("an upload", () => {
  test("that never ends is answered at the cap, and not read any further", async () => {
    await using lab = await Lab.open("guest");
    let made = 0;
    const endless = new Readable({
      read() {
        made += 65_536;
        this.push(Buffer.alloc(65_536));
      },
    });
    const { body } = await lab.link.request({ method: "POST", path: "/v1/speed/upload", body: endless }, never);
    const closed = new Promise((resolve) => body.once("close", resolve));
    const [answer] = (await once(body, "data")) as [Buffer];
    assert.deepEqual(JSON.parse(answer.toString()), { bytes: MAX_TEST_BYTES, ms: 0 });
    await lab.clock.advance(2_000);
    await closed; // only the other end can have done that: this one has more to send
    const atEnd = made;
    await turns();
    assert.equal(made, atEnd);
    assert.ok(made < MAX_TEST_BYTES + 4 * MB, `${made} bytes were taken`);
  });

  test("that stops is given up after the stall time", async () => {
    await using lab = await Lab.open("guest");
    const body = new PassThrough();
    body.write(Buffer.alloc(1_000));
    const reply = lab.link.request({ method: "POST", path: "/v1/speed/upload", body }, never);
    await lab.clock.advance(5_250);
    const { status, body: answer } = await reply;
    assert.equal(status, 504);
    assert.match(await text(answer), /"timed-out".*stalled/);
  });

  test("without a body is refused", async () => {
    await using lab = await Lab.open("guest");
    const { status } = await lab.link.request({ method: "POST", path: "/v1/speed/upload" }, never);
    assert.equal(status, 400);
  });
});

describe("a person's routes", () => {
  test("ping answers a line a sample, then the median", async () => {
    await using lab = await Lab.open("local");
    const lines = lab.lines({ method: "POST", path: "/v1/nodes/attic/ping", body: { count: 3 } });
    await lab.clock.advance(1_000);
    const all = await lines;
    assert.equal(all.length, 4);
    assert.deepEqual(all[0], { progress: { sample: 1, path: "memory", remote: "memory", rttMs: 20 } });
    assert.deepEqual(all[3], {
      result: {
        id: lab.attic.peer,
        name: "attic",
        path: "memory",
        sent: 3,
        lost: 0,
        medianMs: 20,
        minMs: 20,
        maxMs: 20,
        jitterMs: 0,
      },
    });
    assert.deepEqual(lab.pinged, [[lab.attic.peer, 20]]); // for the table
  });

  test("ping takes at most 100 samples", async () => {
    await using lab = await Lab.open("local");
    const { status } = await lab.link.request(
      { method: "POST", path: "/v1/nodes/attic/ping", body: { count: 101 } },
      never,
    );
    assert.equal(status, 400);
  });

  test("speed answers progress and the result, or says why not", async () => {
    await using lab = await Lab.open("local");
    const [line] = await lab.lines({ method: "POST", path: "/v1/nodes/attic/speed" });
    assert.deepEqual(line, { error: { code: "not-found", message: "no such thing" } });
  });

  test("say at once that a node is unknown", async () => {
    await using lab = await Lab.open("local");
    const { status } = await lab.link.request({ method: "POST", path: "/v1/nodes/nobody/ping", body: {} }, never);
    assert.equal(status, 404);
  });

  test("end with the person", async () => {
    await using lab = await Lab.open("local");
    const reply = lab.link.request({ method: "POST", path: "/v1/nodes/attic/ping", body: { count: 100 } }, never);
    await lab.clock.advance(100);
    leave((await reply).body);
    await turns();
    const { pings } = lab.attic;
    await lab.clock.advance(10_000);
    assert.equal(lab.attic.pings, pings);
  });
});

describe("specs", () => {
  test("are told to a guest, cleaned by who asked", async () => {
    await using lab = await Lab.open("guest");
    const specs = await askSpecs(lab.link, lab.clock, never);
    assert.equal(specs.cpu.model, "Ry[31mzen");
    assert.deepEqual(specs.memory, lab.specs.memory);
  });
});

function leave(body: Readable): void {
  body.on("error", () => undefined);
  body.destroy(new Error("enough")); // without an error HTTP/2 does not tell the other end
}

async function turns(): Promise<void> {
  for (let i = 0; i < 20; i++) await turn();
}

/** A node that serves, one link to it, and another node ("attic") that it can ping. */
class Lab implements AsyncDisposable {
  readonly clock = new VirtualClock();
  readonly guest = fakeId(2);
  readonly friends = new Set<NodeId>();
  readonly served: [NodeId, SpeedNote][] = [];
  readonly asked: [NodeId, SpeedNote][] = [];
  readonly attic = new FakeLink({ clock: this.clock, peer: fakeId(3) });
  readonly specs: Specs = {
    cpu: { model: "Ry\u001b[31mzen", cores: 16 },
    memory: { totalBytes: 64, freeBytes: 32 },
    disk: { totalBytes: 1, freeBytes: 1 },
    gpus: [],
    platform: "linux",
    architecture: "x64",
    problems: [],
  };
  readonly pinged: unknown[] = [];
  app!: MemoryApp;
  link!: Link;

  static async open(role: Role): Promise<Lab> {
    const lab = new Lab();
    const caller =
      role === "local" ? ({ kind: "local" } as const) : ({ kind: "node", id: lab.guest, remote: "192.0.2.2" } as const);
    const { clock } = lab;
    lab.app = await MemoryApp.open(caller, role, async (app) => {
      await app.register(
        serveMeasure({
          clock,
          log: silentLog,
          reach: fakeReach(() => [lab.attic]),
          nameOf: () => "garage",
          specs: { latest: () => lab.specs },
          speedTests: new SpeedTests({ clock, note: () => undefined }),
          noteRoundTrip: (id, { medianMs }) => void lab.pinged.push([id, medianMs]),
          isFriend: (id) => lab.friends.has(id),
          note: (id, speed) => lab.served.push([id, speed]),
          resolve: (name) => {
            if (name !== "attic") throw new Failure("unknown-node", `no node is called "${name}"`);
            return { id: lab.attic.peer, name, endpoints: [], via: [] };
          },
        }),
      );
    });
    lab.link = new FakeLink({ clock, answer: lab.app.answer });
    return lab;
  }

  options(maxBytes: number) {
    return { clock: this.clock, maxBytes, maxMs: 10_000 };
  }

  download(maxBytes = MAX_TEST_BYTES) {
    return askDownload(this.link, this.options(maxBytes), never);
  }

  upload(maxBytes: number) {
    return askUpload(this.link, { ...this.options(maxBytes), downloaded: undefined }, never);
  }

  /** A download that nobody reads. */
  async beginDownload(): Promise<Readable> {
    const { body } = await this.link.request({ method: "GET", path: "/v1/speed/download" }, never);
    return body;
  }

  async lines(request: Parameters<Link["request"]>[0]): Promise<unknown[]> {
    const { body } = await this.link.request(request, never);
    return (await text(body))
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as unknown);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.app[Symbol.asyncDispose]();
  }
}
