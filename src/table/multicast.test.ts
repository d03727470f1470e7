import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { silentLog, systemClock } from "../base/index.ts";
import type { MulticastPacket } from "./lan-discovery.ts";
import { openMulticast } from "./multicast.ts";

/** Loopback alone, and not the port on which a machine's own responder listens. */
const options = { port: 53_530, only: ["127.0.0.1"] };
const query: MulticastPacket = { kind: "query", questions: [{ name: "_p2prc._tcp.local", type: "PTR" }], answers: [] };

describe("openMulticast", () => {
  test("lets two programs of one machine hear each other", async () => {
    const ending = new AbortController();
    const [one] = await openMulticast(silentLog, options, ending.signal);
    const [two] = await openMulticast(silentLog, options, ending.signal);
    const heard = Promise.withResolvers<[MulticastPacket, string]>();
    two?.onPacket((packet, from) => heard.resolve([packet, from]));
    one?.send(query);
    const late = systemClock.sleep(5_000, ending.signal).then(() => assert.fail("nothing was heard within 5 s"));
    const [packet, from] = await Promise.race([heard.promise, late]);
    late.catch(() => undefined);
    ending.abort();
    assert.deepEqual([packet.kind, packet.questions[0]?.name, from], ["query", "_p2prc._tcp.local", "127.0.0.1"]);
    assert.deepEqual(one?.addresses, ["127.0.0.1"]);
  });

  test("opens nothing once it is aborted", async () => {
    assert.deepEqual(await openMulticast(silentLog, options, AbortSignal.abort()), []);
  });
});
