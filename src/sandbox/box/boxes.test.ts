import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { text } from "node:stream/consumers";
import { describe, test } from "node:test";
import { fakeId } from "../../../test/support/fake-link.ts";
import { FakeOwner } from "../../../test/support/fake-owner.ts";
import { VirtualClock } from "../../../test/support/virtual-clock.ts";
import { seededRandom, silentLog } from "../../base/index.ts";
import { Failure } from "../../core/index.ts";
import type { BoxProgress, Sandbox, TouchRequest } from "../contract.ts";
import type { SandboxId } from "../runtime/sandbox-id.ts";
import { BoxBook } from "./box-book.ts";
import { type BoxChange, Boxes, type BoxesDeps } from "./boxes.ts";

const KEY = `ssh-ed25519 ${"A".repeat(68)}`;
const { signal } = new AbortController();

describe("touch", () => {
  test("makes a sandbox under the name that was asked for", async () => {
    const lab = new Lab();
    const box = await lab.touch({ node: "attic", name: "box", image: "debian:bookworm", lifetimeMs: 3_600_000 });
    assert.deepEqual(
      [box.node.name, box.sandbox.name, box.sandbox.image, box.reach],
      ["attic", "box", "debian:bookworm", "known"],
    );
    assert.equal(lab.attic.sandboxes.get(box.sandbox.id)?.name, "box");
    assert.deepEqual(lab.changes, ["held box"]);
  });

  test("gives two words for a name where none was asked for", async () => {
    const lab = new Lab();
    const [one, two] = [await lab.touch({ node: "attic" }), await lab.touch({ node: "attic" })];
    assert.match(one.sandbox.name, /^[a-z]+-[a-z]+$/);
    assert.notEqual(one.sandbox.name, two.sandbox.name);
  });

  test("refuses a name that is taken, and one that would be read as something else", async () => {
    const lab = new Lab();
    await lab.touch({ node: "attic", name: "box" });
    await assert.rejects(lab.touch({ node: "attic", name: "box" }), { code: "conflict" });
    for (const name of ["../x", "a;b", "$(reboot)", "a\nb", "-rf", "Box", "", "a".repeat(33), "abcdefghijklmnop"]) {
      await assert.rejects(lab.touch({ node: "attic", name }), { code: "bad-name" }, name);
    }
    assert.equal(lab.attic.sandboxes.size, 1);
  });

  test("asks again with the same id when the answer is lost", async () => {
    const lab = new Lab();
    lab.attic.losesAnswers = 2;
    const touching = lab.touch({ node: "attic", name: "box" });
    await lab.clock.advance(5_000);
    assert.equal((await touching).sandbox.name, "box");
    assert.equal(lab.attic.sandboxes.size, 1);
  });

  test("leaves what may have been made to be removed, and says so", async () => {
    const lab = new Lab();
    lab.attic.losesAnswers = 3;
    const touching = assert.rejects(lab.touch({ node: "attic", name: "box" }), (error) => {
      assert.ok(error instanceof Failure);
      assert.match(`${error.message} ${error.hint}`, /not known.*removed as soon as attic answers/);
      return true;
    });
    await lab.clock.advance(5_000);
    await touching;
    assert.deepEqual(await lab.names(), []);
    await lab.runFor(1);
    assert.equal(lab.attic.sandboxes.size, 0);
  });

  test("takes what the node itself has lost for its answer, and not for a link that broke", async () => {
    const lab = new Lab();
    lab.attic.refusal = new Failure("link-lost", "the way into the sandbox was lost");
    await assert.rejects(lab.touch({ node: "attic", name: "box" }), {
      code: "link-lost",
      message: "the way into the sandbox was lost",
    });
    assert.equal(lab.attic.asked.filter((asked) => asked === "POST /v1/sandboxes").length, 1);
    assert.deepEqual(await lab.names(), []);
    lab.attic.refusal = undefined;
    assert.equal((await lab.touch({ node: "attic", name: "box" })).sandbox.name, "box");
  });

  test("removes what a daemon that was killed had asked for", async () => {
    const lab = new Lab();
    lab.attic.silent = true;
    const left = new AbortController();
    const touching = lab.boxes.touch({ node: "attic", name: "box" }, () => undefined, left.signal);
    touching.catch(() => undefined);
    await lab.clock.advance(10);
    lab.attic.silent = false;
    const reopened = lab.reopen();
    await lab.runFor(1, reopened);
    assert.ok(lab.attic.asked.some((one) => one.startsWith("DELETE ")));
    left.abort();
  });

  test("keeps nothing of what the node refused, nor of a node that was never reached", async () => {
    const lab = new Lab();
    lab.attic.refusal = new Failure("too-large", "6 cores in all, allowed are 2", { hint: "ask for less" });
    lab.attic.refusal = new Failure("not-allowed", "6 cores in all, allowed are 2");
    await assert.rejects(lab.touch({ node: "attic", name: "box" }), { code: "not-allowed" });
    lab.attic.refusal = undefined;
    lab.attic.up = false;
    await assert.rejects(lab.touch({ node: "attic", name: "box" }), { code: "unreachable" });
    lab.attic.up = true;
    await lab.touch({ node: "attic", name: "box" }); // the name is free
    assert.ok(!lab.attic.asked.some((one) => one.startsWith("DELETE ")));
  });

  test("names the node that cannot be reached, and what to type to see why", async () => {
    const lab = new Lab();
    await lab.touch({ node: "attic", name: "box" });
    lab.attic.link = () => {
      throw new Failure("unreachable", "refused: nothing listens there", {
        hint: "`p2prc why NODE` shows each attempt",
      });
    };
    await assert.rejects(lab.boxes.connect("box", { kind: "exec" }, signal), {
      message: "attic cannot be reached: refused: nothing listens there",
      hint: "`p2prc why attic` shows each attempt",
    });
  });

  test("takes no name that a group has", async () => {
    const lab = new Lab();
    const boxes = lab.reopen({ isGroup: (name) => name === "farm" });
    const touch = (name: string) => boxes.touch({ node: "attic", name }, () => undefined, signal);
    await assert.rejects(touch("farm"), { code: "conflict", message: 'you have a group "farm" already' });
    assert.equal((await touch("farm1")).sandbox.name, "farm1");
  });

  test("wants a node or --near, and not both", async () => {
    const lab = new Lab();
    await assert.rejects(lab.touch({}), { code: "bad-argument" });
    await assert.rejects(lab.touch({ node: "attic", near: true }), { code: "bad-argument" });
    await assert.rejects(lab.touch({ node: "nobody" }), { code: "unknown-node" });
  });

  test("starts 64 at once and refuses more", async () => {
    const lab = new Lab();
    lab.attic.silent = true;
    const left = new AbortController();
    const asked = Array.from({ length: 65 }, () => lab.boxes.touch({ node: "attic" }, () => undefined, left.signal));
    const codes = Promise.all(
      asked.map((one) =>
        one.then(
          () => "made",
          (error: unknown) => (error as Failure).code,
        ),
      ),
    );
    await lab.clock.advance(10);
    left.abort(new Failure("link-lost", "left"));
    await lab.clock.advance(10);
    assert.equal((await codes).filter((code) => code === "busy").length, 1);
  });
});

describe("touch --near", () => {
  test("spreads several over the nodes, and goes round", async () => {
    const lab = new Lab();
    const places: string[] = [];
    for (const turn of [0, 1, 2, 3]) places.push((await lab.touch({ near: true, turn })).node.name);
    assert.deepEqual(places, ["attic", "barn", "cellar", "attic"]);
  });

  test("takes the nearest node that fits, and says why not the nearer ones", async () => {
    const lab = new Lab();
    lab.attic.up = false;
    lab.cellar.offer = {
      ...lab.cellar.offer,
      gpus: [{ index: 0, model: "NVIDIA GeForce RTX 4090", memoryBytes: 24 * 1024 ** 3 }],
    };
    const box = await lab.touch({ near: true, gpu: { count: 1, memoryBytes: 12 * 1024 ** 3 } });
    assert.equal(box.node.name, "cellar");
    assert.deepEqual(
      lab.progress.flatMap(({ node, passedOver }) => (passedOver === undefined ? [] : [`${node}: ${passedOver}`])),
      ["attic: attic does not answer", "barn: has no GPU to lend"],
    );
  });

  test("goes on to the next node when the one that offered refuses", async () => {
    const lab = new Lab();
    lab.attic.losesAnswers = 0;
    lab.attic.answer = async (request, within) => {
      if (request.method === "POST") throw new Failure("busy", "too many at once");
      return await new FakeOwner(lab.clock, lab.attic).answer(request, within);
    };
    const box = await lab.touch({ near: true });
    assert.equal(box.node.name, "barn");
    assert.equal(lab.progress.find(({ passedOver }) => passedOver !== undefined)?.passedOver, "too many at once");
  });

  test("lists every reason where none fits", async () => {
    const lab = new Lab();
    await assert.rejects(lab.touch({ near: true, cpus: 64 }), (error) => {
      assert.ok(error instanceof Failure);
      assert.equal(error.code, "not-found");
      assert.match(error.message, /attic, barn and cellar: 64 cores are wanted, 4 are free/);
      return true;
    });
  });

  test("does not wait for a silent node longer than 5 s", async () => {
    const lab = new Lab();
    lab.attic.silent = true;
    const touching = lab.touch({ near: true });
    await lab.clock.advance(5_000);
    assert.equal((await touching).node.name, "barn");
  });
});

describe("the list", () => {
  test("shows what each node says, and what a lost one said last", async () => {
    const lab = new Lab();
    await lab.touch({ node: "attic", name: "one" });
    await lab.touch({ node: "barn", name: "two" });
    lab.barn.silent = true;
    const listing = lab.boxes.list(signal);
    await lab.clock.advance(2_000);
    assert.deepEqual(
      (await listing).map(({ sandbox, reach }) => [sandbox.name, reach]),
      [
        ["one", "known"],
        ["two", "lost"],
      ],
    );
  });

  test("forgets what its node does not know any more, and what a node ended with the grant", async () => {
    const lab = new Lab();
    await lab.touch({ node: "attic", name: "one" });
    await lab.touch({ node: "barn", name: "two" });
    lab.attic.sandboxes.clear();
    lab.barn.refusal = new Failure("not-allowed", "this node does not lend to you");
    assert.deepEqual(await lab.names(), []);
    assert.deepEqual(lab.changes, ["held one", "held two", "ended one", "ended two"]);
  });

  test("shows one that is still being made, and forgets none that its node has not heard of yet", async () => {
    const lab = new Lab();
    const { attic } = lab;
    const asked = Promise.withResolvers<void>();
    const made = Promise.withResolvers<void>();
    const usual = attic.answer.bind(attic);
    attic.answer = async (request, within) => {
      if (request.method !== "POST") return await usual(request, within);
      asked.resolve();
      await made.promise;
      return await usual(request, within);
    };
    const touching = lab.touch({ node: "attic", name: "box" });
    await asked.promise;
    assert.deepEqual(await lab.boxes.list(signal), []);
    const [{ id } = assert.fail()] = new BoxBook(lab.database).all;
    attic.sandboxes.set(id, { ...sandboxOf(id, attic), state: "making" });
    assert.deepEqual(
      (await lab.boxes.list(signal)).map(({ sandbox }) => [sandbox.name, sandbox.state]),
      [["box", "making"]],
    );
    attic.sandboxes.delete(id);
    made.resolve();
    assert.equal((await touching).sandbox.state, "running");
  });

  test("survives a restart of the daemon", async () => {
    const lab = new Lab();
    await lab.touch({ node: "attic", name: "box" });
    lab.attic.up = false;
    const [box] = await lab.reopen().list(signal);
    assert.deepEqual([box?.sandbox.name, box?.reach], ["box", "lost"]);
  });
});

describe("an offer", () => {
  test("is asked of the node that was named, and not waited for longer than 2 s", async () => {
    const lab = new Lab();
    assert.deepEqual(await lab.boxes.offerOf("attic", signal), lab.attic.offer);
    lab.attic.silent = true;
    const asked = assert.rejects(lab.boxes.offerOf("attic", signal), { code: "timed-out" });
    await lab.clock.advance(2_000);
    await asked;
    await assert.rejects(lab.boxes.offerOf("nobody", signal), { code: "unknown-node" });
  });
});

describe("removing", () => {
  test("is done at once where the node answers", async () => {
    const lab = new Lab();
    await lab.touch({ node: "attic", name: "box" });
    assert.equal((await lab.boxes.remove("box", signal)).done, true);
    assert.equal(lab.attic.sandboxes.size, 0);
    assert.deepEqual(await lab.names(), []);
  });

  test("is remembered across a restart and told later where it does not", async () => {
    const lab = new Lab();
    await lab.touch({ node: "attic", name: "box" });
    lab.attic.up = false;
    assert.equal((await lab.boxes.remove("box", signal)).done, false);
    await lab.touch({ node: "barn", name: "box" }); // its name is free
    const reopened = lab.reopen();
    lab.attic.up = true;
    await lab.runFor(1, reopened);
    assert.equal(lab.attic.sandboxes.size, 0);
    assert.equal(lab.barn.sandboxes.size, 1);
  });

  test("is told again soon, and then less and less often", async () => {
    const lab = new Lab();
    await lab.touch({ node: "attic", name: "box" });
    const running = new AbortController();
    const done = lab.boxes.run(running.signal);
    await lab.clock.advance(30_000);
    lab.attic.silent = true;
    const removing = lab.boxes.remove("box", signal);
    await lab.clock.advance(5_000);
    assert.equal((await removing).done, false);
    const asked = () => lab.attic.asked.filter((one) => one.startsWith("DELETE ")).length;
    await lab.clock.advance(20_000);
    assert.equal(asked(), 3); // at once, after the nudge, and 5 s after that failed
    await lab.clock.advance(3_600_000);
    assert.ok(asked() < 65, `${asked()} times in an hour`);
    lab.attic.silent = false;
    await lab.clock.advance(65_000);
    assert.equal(lab.attic.sandboxes.size, 0);
    running.abort();
    await done;
  });

  test("is given up once the lease must have ended", async () => {
    const lab = new Lab();
    await lab.touch({ node: "attic", name: "box", lifetimeMs: 3_600_000 });
    lab.attic.up = false;
    await lab.boxes.remove("box", signal);
    await lab.runFor(2 * 3_600_000 + 60_000);
    assert.deepEqual(await lab.boxes.list(signal), []);
  });
});

describe("one of them", () => {
  test("is extended, measured and read", async () => {
    const lab = new Lab();
    await lab.touch({ node: "attic", name: "box" });
    const extended = await lab.boxes.extend("box", 4 * 3_600_000, signal);
    assert.equal(extended.sandbox.expires, lab.clock.wallTime() + 4 * 3_600_000);
    assert.equal((await lab.boxes.stats("box", signal)).linkBytes, 7);
    assert.equal(await text(await lab.boxes.logs("box", { follow: false, lines: 10 }, signal)), "one\ntwo\n");
  });

  test("is entered by a byte stream over the link", async () => {
    const lab = new Lab();
    const { sandbox } = await lab.touch({ node: "attic", name: "box" });
    const stream = await lab.boxes.connect("box@attic", { kind: "port", port: 80 }, signal);
    stream.end("hello");
    assert.equal(await text(stream), `port:${sandbox.id}/80\nhello`);
  });

  test("that has ended on its node says so, and is forgotten", async () => {
    const lab = new Lab();
    await lab.touch({ node: "attic", name: "box" });
    lab.attic.sandboxes.clear();
    await assert.rejects(lab.boxes.connect("box", { kind: "exec" }, signal), {
      code: "not-found",
      message: '"box" is no longer on attic',
    });
    assert.throws(() => lab.boxes.find("box"), { code: "not-found" });
  });
});

function sandboxOf(id: SandboxId, { id: guest }: FakeOwner): Sandbox {
  const sizes = { cpus: 1, memoryBytes: 2 ** 30, diskBytes: 2 ** 30, gpus: [], ports: 0, made: 0, expires: 1 };
  return {
    id,
    guest,
    ...sizes,
    name: "box",
    state: "running",
    runtime: "memory",
    profile: "dev",
    network: "none",
    user: "root",
  };
}

/** Somebody with three joined nodes: attic, barn and cellar, the nearest first. */
class Lab {
  readonly clock = new VirtualClock();
  readonly database = new DatabaseSync(":memory:");
  readonly attic = new FakeOwner(this.clock, { name: "attic", id: fakeId(1) });
  readonly barn = new FakeOwner(this.clock, { name: "barn", id: fakeId(2) });
  readonly cellar = new FakeOwner(this.clock, { name: "cellar", id: fakeId(3) });
  readonly progress: BoxProgress[] = [];
  readonly changes: string[] = [];
  readonly #random = seededRandom(1);
  readonly boxes: Boxes = this.reopen();

  constructor() {
    this.boxes.changes.on(({ kind, row }: BoxChange) => this.changes.push(`${kind} ${row.name}`));
  }

  /** As after a restart of the daemon: the same book, another Boxes. */
  reopen(more: Pick<BoxesDeps, "isGroup"> = {}): Boxes {
    const owners = [this.attic, this.barn, this.cellar];
    const dialable = ({ id, name }: FakeOwner) => ({ id, name, endpoints: [], via: [] });
    return new Boxes({
      database: this.database,
      reach: {
        existing: () => undefined,
        link: async ({ id }) => owners.find((owner) => owner.id === id)?.link() ?? assert.fail("nobody has this id"),
      },
      dialable: (id) => owners.filter((owner) => owner.id === id).map(dialable)[0],
      nameOf: (id) => owners.find((owner) => owner.id === id)?.name ?? "?",
      resolve: (typed) => {
        const found = owners.find(({ name }) => name === typed);
        if (found === undefined) throw new Failure("unknown-node", "no such node");
        return dialable(found);
      },
      nearest: () => owners.map(dialable),
      sshKey: async () => KEY,
      doors: { open: async () => [], of: () => [], sshPort: () => undefined },
      clock: this.clock,
      random: this.#random,
      log: silentLog,
      ...more,
    });
  }

  touch(request: TouchRequest) {
    return this.boxes.touch(request, (progress) => this.progress.push(progress), signal);
  }

  async names(): Promise<readonly string[]> {
    return (await this.boxes.list(signal)).map(({ sandbox }) => sandbox.name);
  }

  async runFor(ms: number, boxes = this.boxes): Promise<void> {
    const running = new AbortController();
    const done = boxes.run(running.signal);
    await this.clock.advance(ms);
    running.abort();
    await done;
  }
}
