import assert from "node:assert/strict";
import { once } from "node:events";
import { performServerHandshake } from "node:http2";
import { Duplex, duplexPair } from "node:stream";
import { describe, test } from "node:test";
import { ResidentLab } from "../../../test/support/resident-lab.ts";
import { VirtualClock } from "../../../test/support/virtual-clock.ts";
import { ERROR_HEADER } from "../resident/protocol.ts";
import { Inside } from "./inside.ts";

const { signal } = new AbortController();

describe("Inside", () => {
  test("fails what is open, and what is asked later, with link-lost when the stream below ends", async () => {
    await using lab = await ResidentLab.open();
    const stream = await lab.inside.exec({ argv: ["sleep", "60"], env: {} }, signal);
    const failed = once(stream, "error").catch((error: unknown) => [error]);
    lab.cut();
    const other = await lab.inside.exec({ argv: [], env: {} }, signal).catch((error: unknown) => error);
    assert.equal((other as { code?: string }).code, "link-lost");
    assert.equal(((await failed)[0] as { code?: string }).code, "link-lost");
    await lab.inside.ended;
    assert.equal(lab.inside.open, false);
    await assert.rejects(lab.inside.dial(80, signal), { code: "link-lost" });
  });

  test("does not open on a stream that says nothing, or something else", async () => {
    const clock = new VirtualClock();
    const silent = deaf();
    const opening = Inside.open(silent, { clock }, signal);
    const late = assert.rejects(opening, { code: "timed-out" });
    await clock.advance(20_000);
    await late;
    assert.equal(silent.destroyed, true);
    const chatty = deaf();
    chatty.push("SSH-2.0-OpenSSH\r\n".repeat(10));
    await assert.rejects(Inside.open(chatty, { clock }, signal), { code: "link-lost" });
  });

  test("gives up when it is told to, before and while it waits", async () => {
    await using lab = await ResidentLab.open();
    const reason = new Error("stop");
    await assert.rejects(lab.inside.dial(1, AbortSignal.abort(reason)), reason);
    const stop = new AbortController();
    const opening = Inside.open(deaf(), { clock: new VirtualClock() }, stop.signal);
    stop.abort(reason);
    await assert.rejects(opening, reason);
  });

  test("tells a port on which nothing listens from one that is none", async () => {
    await using lab = await ResidentLab.open();
    await assert.rejects(lab.inside.dial(1, signal), { code: "unreachable", message: /nothing listens/u });
    await assert.rejects(lab.inside.dial(65_536, signal), { code: "bad-argument" });
    await assert.rejects(lab.inside.connect("port", "192.0.2.1/80", signal), { code: "bad-argument" });
  });

  test("tells a refusal apart from an answer that broke off, though its head is all of it", async () => {
    const [near, far] = duplexPair();
    const session = performServerHandshake(far);
    session.on("stream", (stream) => {
      const error = { code: "not-supported", message: "no shell" };
      stream.resume().once("end", () => {
        stream.respond({ ":status": 501, [ERROR_HEADER]: JSON.stringify({ error }) }, { endStream: true });
      });
    });
    await using inside = await Inside.open(near, { clock: new VirtualClock() }, signal);
    for (let time = 0; time < 20; time++) {
      await assert.rejects(inside.startCommand(["true"], signal), { code: "not-supported", message: "no shell" });
    }
  });

  test("closes twice as once", async () => {
    await using lab = await ResidentLab.open();
    await lab.inside[Symbol.asyncDispose]();
    await lab.inside[Symbol.asyncDispose]();
  });
});

/** Takes everything and says nothing. */
function deaf(): Duplex {
  return new Duplex({ read: () => {}, write: (_chunk, _encoding, done) => done() });
}
