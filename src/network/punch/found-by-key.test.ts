import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { VirtualClock } from "../../../test/support/virtual-clock.ts";
import { type Endpoint, Failure, nodeIdFromPublicKey } from "../../core/index.ts";
import type { DialRequest, Pipe } from "../carrier.ts";
import { FoundByKey } from "./found-by-key.ts";

const friend = nodeIdFromPublicKey(Buffer.alloc(32, 1));
const stranger = nodeIdFromPublicKey(Buffer.alloc(32, 2));
const before = { host: "198.51.100.1", port: 8088 };
const now = { host: "198.51.100.2", port: 8088 };
const home = { host: "192.168.1.1", port: 8088 };

describe("FoundByKey", () => {
  test("dials a friend where the DHT says that he is now, and expects his key there", async () => {
    const lab = new Lab([before, home, now]);
    assert.equal(await lab.open(), lab.pipe);
    assert.deepEqual(lab.dialled, [{ endpoint: now, expect: friend, asks: true }]);
  });

  test("knows no way to strangers, nor where there is no DHT", () => {
    const lab = new Lab([now]);
    assert.deepEqual(lab.passage.ways({ id: stranger, endpoints: [], via: [] }), []);
    lab.canFind = false;
    assert.deepEqual(lab.passage.ways({ id: friend, endpoints: [], via: [] }), []);
  });

  test("says so where the DHT knows nothing new", async () => {
    await assert.rejects(new Lab([before]).open(), { code: "unreachable", message: /no other address/ });
    await assert.rejects(new Lab(undefined).open(), { code: "unreachable", message: /no other address/ });
  });

  test("says what came of each address", async () => {
    const lab = new Lab([now]);
    lab.answers = false;
    await assert.rejects(lab.open(), { code: "unreachable", message: "198.51.100.2:8088: another node answers there" });
  });

  test("asks the DHT every 15 s at most for each friend", async () => {
    const lab = new Lab([now]);
    await lab.open();
    await lab.clock.advance(14_000);
    await lab.open();
    assert.equal(lab.asked, 1);
    await lab.clock.advance(1_000);
    await lab.open();
    assert.equal(lab.asked, 2);
  });

  test("waits 10 s for the DHT, and 5 s for an address", async () => {
    const lab = new Lab("silence");
    const late = assert.rejects(lab.open(), { code: "timed-out" });
    await lab.clock.advance(10_000);
    await late;
    const dials = new Lab([now]);
    dials.answers = "never";
    const silent = assert.rejects(dials.open(), { message: /no answer within 5 s/ });
    await dials.clock.advance(5_000);
    await silent;
  });
});

class Lab {
  readonly clock = new VirtualClock();
  readonly pipe = {} as Pipe;
  readonly dialled: DialRequest[] = [];
  readonly passage: FoundByKey;
  answers: boolean | "never" = true;
  canFind = true;
  asked = 0;

  constructor(endpoints: readonly Endpoint[] | "silence" | undefined) {
    this.passage = new FoundByKey({
      find: async () => {
        this.asked++;
        if (endpoints === "silence") return await new Promise(() => {});
        return endpoints === undefined ? undefined : { endpoints, via: [] };
      },
      canFind: () => this.canFind,
      carrier: { dial: (request) => this.#dial(request) },
      isFriend: (id) => id === friend,
      mayDial: ({ host }) => host !== home.host,
      clock: this.clock,
    });
  }

  async open(): Promise<Pipe> {
    const [way] = this.passage.ways({ id: friend, endpoints: [before], via: [] });
    assert.ok(way !== undefined);
    return await way.open(new AbortController().signal);
  }

  async #dial(request: DialRequest): Promise<Pipe> {
    this.dialled.push(request);
    if (this.answers === "never") return await new Promise(() => {});
    if (!this.answers) throw new Failure("wrong-key", "another node answers there");
    return this.pipe;
  }
}
