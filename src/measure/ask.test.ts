import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { describe, test } from "node:test";
import { FakeLink, replyOf } from "../../test/support/fake-link.ts";
import { VirtualClock } from "../../test/support/virtual-clock.ts";
import type { LinkReply } from "../network/index.ts";
import { askDownload, askUpload } from "./ask.ts";
import { Payload } from "./payload.ts";
import { SpeedTests } from "./speed-tests.ts";

const never = new AbortController().signal;

describe("a download", () => {
  test("is given up when the other end accepts and never answers", async () => {
    const lab = new Lab(() => new Promise(() => undefined));
    const asking = assert.rejects(lab.download(), { code: "timed-out" });
    await lab.clock.advance(5_000);
    await asking;
  });

  test("is cut off at the cap when the other end never ends", async () => {
    const endless = new Readable({
      read() {
        this.push(Buffer.alloc(65_536));
      },
    });
    const lab = new Lab(() => replyOf(200, endless));
    assert.equal((await lab.download()).bytes, 1_000_000);
    assert.equal(endless.destroyed, true);
  });

  test("of a few bytes and then the end is no test", async () => {
    const lab = new Lab(() => replyOf(200, Readable.from([Buffer.alloc(100)])));
    await assert.rejects(lab.download(), { code: "bad-reply", message: /only 100 bytes/ });
  });

  test("that is refused keeps the other end's code and hint", async () => {
    const lab = new Lab(() => replyOf(503, { error: { code: "busy", message: "wait", hint: "try again in 3 s" } }));
    await assert.rejects(lab.download(), { code: "busy", hint: "try again in 3 s" });
  });

  test("that is refused in no language we know is a bad reply", async () => {
    const lab = new Lab(() => replyOf(500, Readable.from([Buffer.from("<html>")])));
    await assert.rejects(lab.download(), { code: "bad-reply" });
  });
});

describe("an upload", () => {
  test("sends only what the other end takes, and ends when the answer never comes", async () => {
    let taken: unknown;
    const lab = new Lab(({ body }) => {
      taken = body;
      return new Promise(() => undefined);
    });
    const asking = assert.rejects(lab.upload(), { code: "timed-out" });
    await lab.clock.advance(15_000);
    await asking;
    assert.ok(taken instanceof Payload);
    assert.equal(taken.destroyed, true);
    assert.equal(taken.sent.bytes, 0);
  });

  test("is not believed when more came than was sent", async () => {
    const lab = new Lab(() => replyOf(200, { bytes: 10, ms: 1 }));
    await assert.rejects(lab.upload(), { code: "bad-reply", message: /more came than was sent/ });
  });

  test("is not believed to have come faster than it was sent", async () => {
    const lab = new Lab(async ({ body }) => {
      const payload = body as Payload;
      payload.read();
      await lab.clock.sleep(2_000, never);
      payload.read();
      return replyOf(200, { bytes: 65_536, ms: 1 });
    });
    const asking = lab.upload();
    await lab.clock.advance(2_000);
    assert.equal((await asking).ms, 2_000);
  });

  test("answered with junk is a bad reply", async () => {
    const lab = new Lab(() => replyOf(200, { bytes: -1, ms: "fast" }));
    await assert.rejects(lab.upload(), { code: "bad-reply" });
  });
});

describe("SpeedTests", () => {
  test("tests one node at a time", async () => {
    const lab = new Lab(() => new Promise(() => undefined));
    const tests = new SpeedTests({ clock: lab.clock, note: () => assert.equal(1, 0) });
    const first = assert.rejects(tests.run(lab.link, {}, never), { code: "timed-out" });
    await assert.rejects(tests.run(lab.link, {}, never), { code: "busy" });
    await lab.clock.advance(5_000);
    await first;
    assert.equal(lab.link.holders, 0);
  });

  test("is free again when the person leaves", async () => {
    const lab = new Lab(() => new Promise(() => undefined));
    const tests = new SpeedTests({ clock: lab.clock, note: () => assert.equal(1, 0) });
    const leave = new AbortController();
    const first = assert.rejects(tests.run(lab.link, {}, leave.signal), { name: "AbortError" });
    await lab.clock.advance(100);
    leave.abort();
    await first;
    const second = assert.rejects(tests.run(lab.link, {}, never), { code: "timed-out" });
    await lab.clock.advance(5_000);
    await second;
  });
});

class Lab {
  readonly clock = new VirtualClock();
  readonly link: FakeLink;

  constructor(answer: (request: { readonly body?: unknown }) => LinkReply | Promise<LinkReply>) {
    this.link = new FakeLink({ clock: this.clock, answer });
  }

  download() {
    return askDownload(this.link, { clock: this.clock, maxBytes: 1_000_000, maxMs: 10_000 }, never);
  }

  upload() {
    return askUpload(
      this.link,
      { clock: this.clock, maxBytes: 1_000_000, maxMs: 10_000, downloaded: undefined },
      never,
    );
  }
}
