import assert from "node:assert/strict";
import { once } from "node:events";
import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from "node:http2";
import { type Duplex, duplexPair } from "node:stream";
import { describe, test } from "node:test";
import { VirtualClock } from "../../test/support/virtual-clock.ts";
import { type NodeId, nodeIdFromPublicKey } from "../core/index.ts";
import { Answering } from "./answering.ts";

const { NGHTTP2_ENHANCE_YOUR_CALM } = constants;

describe("a body that comes late", { timeout: 30_000 }, () => {
  test("ends its request after 30 s when it stands still, and nothing else on the link", async () => {
    await using lab = new Lab();
    const session = await lab.join(1);
    const late = lab.post(session);
    late.write("{");
    await lab.clock.advance(29_000);
    assert.equal(late.closed, false);
    await lab.clock.advance(2_000);
    assert.equal(late.rstCode, NGHTTP2_ENHANCE_YOUR_CALM);
    const next = lab.post(session);
    next.end("{}");
    const [head] = await once(next, "response");
    assert.equal(head[":status"], 200);
  });

  test("ends its request when it trickles", async () => {
    await using lab = new Lab();
    const late = lab.post(await lab.join(1));
    for (let i = 0; i < 4; i++) {
      late.write(" ");
      await lab.clock.advance(10_000);
    }
    assert.equal(late.rstCode, NGHTTP2_ENHANCE_YOUR_CALM);
  });

  test("ends its request when nobody reads it, once the answer is given", async () => {
    await using lab = new Lab();
    lab.reads = false;
    const late = lab.post(await lab.join(1));
    late.write("{");
    await lab.clock.advance(31_000);
    assert.equal(late.closed, true);
  });

  test("is waited for while it moves, and while this node does not read it", async () => {
    await using lab = new Lab();
    const session = await lab.join(1);
    const moving = lab.post(session);
    for (let i = 0; i < 8; i++) {
      moving.write(Buffer.alloc(20_000));
      await lab.clock.advance(10_000);
    }
    assert.equal(moving.closed, false);
    lab.reads = false;
    lab.answers = false;
    const waiting = lab.post(session);
    waiting.write("{");
    moving.end();
    await lab.clock.advance(60_000);
    assert.equal(waiting.closed, false);
  });

  test("is no matter where it is whole and the answer takes long", async () => {
    await using lab = new Lab();
    lab.answers = false;
    const session = await lab.join(1);
    const [whole, none] = [lab.post(session), session.request({ ":path": "/" })];
    whole.end("{}");
    await lab.clock.advance(120_000);
    assert.deepEqual([whole.closed, none.closed], [false, false]);
  });

  test("gives no stranger a place for longer than others who come", async () => {
    await using lab = new Lab({ known: idOf(1), maxStrangers: 2 });
    for (const number of [1, 2, 3, 4]) {
      lab.post(await lab.join(number)).write("{");
      await lab.clock.advance(100);
    }
    assert.deepEqual(lab.present(), [idOf(1), idOf(3), idOf(4)]); // 2 was the oldest of the strangers
  });
});

/** An answering end, and those who ask there over pipes in memory. */
class Lab implements AsyncDisposable {
  readonly clock = new VirtualClock();
  reads = true;
  answers = true;
  readonly #answering: Answering;
  readonly #pipes: Duplex[] = [];

  constructor({ known, maxStrangers = 256 }: { readonly known?: NodeId; readonly maxStrangers?: number } = {}) {
    this.#answering = new Answering(this.clock, { isKnown: (id) => id === known, maxStrangers });
    this.#answering.attach(
      (request, response) => {
        if (!this.reads) {
          if (this.answers) response.end("{}");
          return;
        }
        request.on("error", () => undefined).resume();
        request.on("end", () => this.answers && response.end("{}"));
      },
      (tunnel) => tunnel.accept().destroy(),
    );
  }

  async join(number: number): Promise<ClientHttp2Session> {
    const [near, far] = duplexPair();
    const path = { kind: "memory" as const, remote: "memory" };
    this.#answering.take({ duplex: far, peer: idOf(number), path, asks: false, http: "h2", bytesRead: () => 0 });
    const session = connect("http://memory", { createConnection: () => near });
    session.on("error", () => undefined);
    this.#pipes.push(near);
    await once(session, "connect");
    await this.clock.advance(1);
    return session;
  }

  post(session: ClientHttp2Session): ClientHttp2Stream {
    const stream = session.request({ ":method": "POST", ":path": "/" });
    return stream.on("error", () => undefined);
  }

  present(): readonly (NodeId | undefined)[] {
    return this.#answering.callers.map(({ caller }) => (caller.kind === "node" ? caller.id : undefined));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const pipe of this.#pipes) pipe.destroy();
    await this.#answering[Symbol.asyncDispose]();
  }
}

function idOf(number: number): NodeId {
  return nodeIdFromPublicKey(new Uint8Array(32).fill(number));
}
