/** Every Runtime must pass this: Docker, bubblewrap, the one in memory, and those to come. */

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { type ClientHttp2Session, connect } from "node:http2";
import { type Duplex, Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { describe, test } from "node:test";
import { encodeFrame, FrameReader } from "../../src/sandbox/resident/frames.ts";
import type { Runtime, SandboxSpec } from "../../src/sandbox/runtime/runtime.ts";
import { sandboxIdFrom } from "../../src/sandbox/runtime/sandbox-id.ts";

export interface RuntimeWorld extends AsyncDisposable {
  readonly runtime: Runtime;
  /** The same machine as the next daemon finds it. What `runtime` held open is closed first. */
  reopen(): Promise<Runtime>;
  /** Words that suit the runtime, as `network: "none"` where it has no filter. */
  readonly spec?: Partial<SandboxSpec>;
}

export interface RuntimeContractOptions {
  /** Why it cannot be tried here: the suite is skipped, loudly. */
  readonly skip?: string | false;
  /** @default 60_000 */
  readonly timeoutMs?: number;
}

const MIB = 1024 ** 2;
const ignore = () => undefined;
const signal = new AbortController().signal;

export function sandboxSpec(choices: Partial<SandboxSpec> = {}): SandboxSpec {
  return {
    id: sandboxIdFrom(randomBytes(10)),
    name: "box",
    image: undefined,
    profile: "dev",
    cpus: 1,
    memoryBytes: 256 * MIB,
    diskBytes: 256 * MIB,
    pids: 128,
    network: "none",
    gpus: [],
    command: undefined,
    labels: { "p2prc.node": "me", "p2prc.guest": "them" },
    ...choices,
  };
}

export function runtimeContract(
  name: string,
  open: () => Promise<RuntimeWorld>,
  { skip = false, timeoutMs = 60_000 }: RuntimeContractOptions = {},
): void {
  const options = { skip, timeout: timeoutMs };
  const spec = (world: RuntimeWorld, choices: Partial<SandboxSpec> = {}) => sandboxSpec({ ...world.spec, ...choices });

  describe(`${name} is a Runtime`, options, () => {
    test("lists what it has made, with its labels", async () => {
      await using world = await open();
      const wanted = spec(world);
      await world.runtime.create(wanted, ignore, signal);
      const found = await find(world.runtime, wanted);
      assert.deepEqual({ state: found?.state, labels: found?.labels }, { state: "running", labels: wanted.labels });
      await world.runtime.remove(wanted.id, signal);
    });

    test("makes one sandbox of an id, however often it is asked", async () => {
      await using world = await open();
      const wanted = spec(world);
      await world.runtime.create(wanted, ignore, signal);
      await world.runtime.create(wanted, ignore, signal);
      assert.equal((await world.runtime.list(signal)).filter(({ id }) => id === wanted.id).length, 1);
      await world.runtime.remove(wanted.id, signal);
    });

    test("removes a sandbox, and is content when it is gone already", async () => {
      await using world = await open();
      const wanted = spec(world);
      await world.runtime.create(wanted, ignore, signal);
      await world.runtime.remove(wanted.id, signal);
      await world.runtime.remove(wanted.id, signal);
      assert.equal(await find(world.runtime, wanted), undefined);
    });

    test("leaves nothing where the making is given up before it began", async () => {
      await using world = await open();
      const wanted = spec(world);
      await assert.rejects(world.runtime.create(wanted, ignore, AbortSignal.abort(new Error("given up"))));
      assert.equal(await find(world.runtime, wanted), undefined);
    });

    test("leaves nothing where the making is given up half-way", async () => {
      await using world = await open();
      const wanted = spec(world);
      const giveUp = new AbortController();
      const making = world.runtime.create(wanted, ignore, giveUp.signal);
      giveUp.abort(new Error("given up"));
      const outcome = await making.then(
        () => "made",
        () => "given up",
      );
      const found = await find(world.runtime, wanted);
      assert.equal(found === undefined, outcome === "given up");
      await world.runtime.remove(wanted.id, signal);
    });

    test("freezes a sandbox and lets it go on, and says so", async () => {
      await using world = await open();
      const { runtime } = world;
      const wanted = spec(world);
      await runtime.create(wanted, ignore, signal);
      await runtime.pause(wanted.id, true, signal);
      await runtime.pause(wanted.id, true, signal);
      assert.equal((await find(runtime, wanted))?.state, "paused");
      await runtime.pause(wanted.id, false, signal);
      await runtime.pause(wanted.id, false, signal);
      assert.equal((await find(runtime, wanted))?.state, "running");
      await runtime.remove(wanted.id, signal);
    });

    test("removes a frozen sandbox", async () => {
      await using world = await open();
      const wanted = spec(world);
      await world.runtime.create(wanted, ignore, signal);
      await world.runtime.pause(wanted.id, true, signal);
      await world.runtime.remove(wanted.id, signal);
      assert.equal(await find(world.runtime, wanted), undefined);
    });

    test("does not know a sandbox that was never made", async () => {
      await using world = await open();
      const { id } = spec(world);
      const unknown = { code: "not-found" };
      await assert.rejects(world.runtime.pause(id, true, signal), unknown);
      await assert.rejects(world.runtime.stats(id, signal), unknown);
      await assert.rejects(world.runtime.open(id, signal), unknown);
      await assert.rejects(world.runtime.logs(id, { follow: false, lines: 1 }, signal), unknown);
    });

    test("opens a stream to the resident, on which a command can be run", async () => {
      await using world = await open();
      const wanted = spec(world);
      await world.runtime.create(wanted, ignore, signal);
      assert.deepEqual(await cat(await world.runtime.open(wanted.id, signal), "hello"), { out: "hello", code: 0 });
      await world.runtime.remove(wanted.id, signal);
    });

    test("hands over the way in through which walls were looked at, once, where it keeps one", async () => {
      await using world = await open();
      const wanted = spec(world);
      await world.runtime.create(wanted, ignore, signal);
      const inside = world.runtime.entered?.(wanted.id);
      if (inside !== undefined) {
        const exec = await inside.exec({ argv: ["/bin/sh", "-c", "exit 3"], env: {} }, signal);
        assert.match(await text(Readable.from(exec)), /"code":3/);
        assert.equal(world.runtime.entered?.(wanted.id), undefined);
      }
      await world.runtime.remove(wanted.id, signal);
      await inside?.ended;
    });

    test("ends the stream to the resident when the sandbox is removed", async () => {
      await using world = await open();
      const wanted = spec(world);
      await world.runtime.create(wanted, ignore, signal);
      const stream = await world.runtime.open(wanted.id, signal);
      stream.on("error", ignore).resume();
      const closed = new Promise((resolve) => stream.once("close", resolve));
      await world.runtime.remove(wanted.id, signal);
      await closed;
    });

    test("finds a sandbox again that an earlier daemon made, and speaks to it", async () => {
      await using world = await open();
      const wanted = spec(world);
      await world.runtime.create(wanted, ignore, signal);
      const next = await world.reopen();
      assert.deepEqual((await find(next, wanted))?.labels, wanted.labels);
      assert.deepEqual(await cat(await next.open(wanted.id, signal), "again"), { out: "again", code: 0 });
      await next.remove(wanted.id, signal);
    });

    test("counts what a sandbox uses", async () => {
      await using world = await open();
      const wanted = spec(world);
      await world.runtime.create(wanted, ignore, signal);
      const stats = await world.runtime.stats(wanted.id, signal);
      assert.ok(
        Object.values(stats).every((value) => Number.isFinite(value) && value >= 0),
        JSON.stringify(stats),
      );
      assert.ok(stats.pids >= 1);
      await world.runtime.remove(wanted.id, signal);
    });

    test("keeps what the command writes", async () => {
      await using world = await open();
      const wanted = spec(world, { command: ["echo", "one two"] });
      await world.runtime.create(wanted, ignore, signal);
      const log = await eventually(async () => {
        const stream = await world.runtime.logs(wanted.id, { follow: false, lines: 10 }, signal);
        return await text(Readable.from(stream));
      });
      assert.match(log, /one two/);
      await world.runtime.remove(wanted.id, signal);
    });

    test("has nothing to tell of a sandbox without a command", async () => {
      await using world = await open();
      const wanted = spec(world);
      await world.runtime.create(wanted, ignore, signal);
      const log = await world.runtime.logs(wanted.id, { follow: false, lines: 10 }, signal);
      assert.equal(await text(Readable.from(log)), "");
      const followed = await world.runtime.logs(wanted.id, { follow: true, lines: 10 }, signal);
      const all = text(Readable.from(followed));
      await world.runtime.remove(wanted.id, signal);
      assert.equal(await all, "");
    });

    test("finds nothing wrong with the walls of a fresh sandbox", async () => {
      await using world = await open();
      const wanted = spec(world);
      await world.runtime.create(wanted, ignore, signal);
      assert.deepEqual(await world.runtime.verify(wanted.id, signal), []);
      await world.runtime.remove(wanted.id, signal);
    });
  });
}

async function find(runtime: Runtime, { id }: SandboxSpec) {
  return (await runtime.list(signal)).find((found) => found.id === id);
}

/** Runs `cat` inside, with `input` as all that it reads. */
async function cat(duplex: Duplex, input: string): Promise<{ readonly out: string; readonly code: unknown }> {
  const session: ClientHttp2Session = connect("http://resident", { createConnection: () => duplex });
  session.on("error", ignore);
  const stream = session.request({ ":method": "CONNECT", ":authority": "exec:" });
  const reader = new FrameReader();
  let out = "";
  let code: unknown;
  try {
    stream.write(encodeFrame("start", JSON.stringify({ argv: ["cat"], env: {} })));
    stream.write(encodeFrame("stdin", input));
    stream.write(encodeFrame("stdinEnd"));
    for await (const bytes of stream as AsyncIterable<Buffer>) {
      for (const { kind, content } of reader.take(bytes)) {
        if (kind === "stdout") out += content.toString();
        if (kind === "end") ({ code } = JSON.parse(content.toString()) as { code: unknown });
      }
    }
    return { out, code };
  } finally {
    duplex.destroy();
  }
}

/** Asks again, for at most 5 s, until there is something. */
async function eventually(ask: () => Promise<string>): Promise<string> {
  for (let turn = 0; turn < 100; turn++) {
    const found = await ask();
    if (found !== "") return found;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return "";
}
