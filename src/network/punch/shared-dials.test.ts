import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { describe, test } from "node:test";
import { VirtualClock } from "../../../test/support/virtual-clock.ts";
import type { Pipe } from "../carrier.ts";
import { SharedDials } from "./shared-dials.ts";

describe("SharedDials", () => {
  test("hands a dial that was left to whoever comes within 3 s", async () => {
    const lab = new Lab();
    await lab.leave();
    await lab.clock.advance(2_999);
    const next = lab.take();
    await lab.clock.advance(60_000);
    lab.arrive();
    assert.equal((await next).duplex.destroyed, false);
    assert.equal(lab.begun, 1);
  });

  test("keeps a pipe that came while nobody waited for 3 s", async () => {
    const lab = new Lab();
    await lab.leave();
    const pipe = lab.arrive();
    await lab.clock.advance(2_000);
    assert.equal(await lab.take(), pipe);
    await lab.clock.advance(10_000);
    assert.equal(pipe.duplex.destroyed, false, "it is somebody's now");
  });

  test("ends a dial that nobody came back for, and its pipe", async () => {
    const lab = new Lab();
    await lab.leave();
    await lab.clock.advance(3_000);
    assert.ok(lab.signal?.aborted);
    const pipe = lab.arrive();
    await lab.clock.advance(0);
    assert.ok(pipe.duplex.destroyed);
    assert.equal(lab.clock.sleeperCount, 0);
    const again = lab.take();
    lab.arrive();
    await again;
    assert.equal(lab.begun, 2);
  });

  test("gives each pipe to one: who comes second has one of his own", async () => {
    const lab = new Lab();
    const both = [lab.take(), lab.take()];
    lab.arrive();
    await lab.clock.advance(0);
    lab.arrive();
    const [one, other] = await Promise.all(both);
    assert.notEqual(one, other);
    assert.equal(lab.begun, 2);
  });

  test("dials anew when the pipe died while it lay here, and after a failure", async () => {
    const lab = new Lab();
    await lab.leave();
    lab.arrive().duplex.destroy();
    const next = lab.take();
    await lab.clock.advance(0);
    const failed = assert.rejects(next, /refused/);
    lab.fail(new Error("refused"));
    await failed;
    const last = lab.take();
    lab.arrive();
    await last;
    assert.equal(lab.begun, 3);
  });

  test("begins nothing when it was aborted before, and ends everything with itself", async () => {
    const lab = new Lab();
    await assert.rejects(lab.dials.take("a", lab.work, AbortSignal.abort(new Error("enough"))), /enough/);
    assert.equal(lab.begun, 0);
    await lab.leave();
    const closed = lab.dials[Symbol.asyncDispose]();
    assert.ok(lab.signal?.aborted);
    lab.fail(new Error("aborted"));
    await closed;
    assert.equal(lab.clock.sleeperCount, 0);
  });
});

class Lab {
  readonly clock = new VirtualClock();
  readonly dials = new SharedDials(this.clock);
  begun = 0;
  signal: AbortSignal | undefined;
  #now = Promise.withResolvers<Pipe>();

  readonly work = (signal: AbortSignal): Promise<Pipe> => {
    this.begun++;
    this.signal = signal;
    this.#now = Promise.withResolvers<Pipe>();
    return this.#now.promise;
  };

  take(signal = new AbortController().signal): Promise<Pipe> {
    return this.dials.take("a", this.work, signal);
  }

  async leave(): Promise<void> {
    const stop = new AbortController();
    const left = assert.rejects(this.take(stop.signal), /another way was quicker/);
    stop.abort(new Error("another way was quicker"));
    await left;
  }

  arrive(): Pipe {
    const pipe = { duplex: new PassThrough() } as unknown as Pipe;
    this.#now.resolve(pipe);
    return pipe;
  }

  fail(error: Error): void {
    this.#now.reject(error);
  }
}
