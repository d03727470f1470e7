import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { duplexPair } from "node:stream";
import { describe, test } from "node:test";
import { connect } from "node:tls";
import { type Identity, identityFromSeed } from "./identity.ts";
import { Tls } from "./tls.ts";

const never = new AbortController().signal;
const attic = await identityFromSeed(Buffer.alloc(32, 1));
const desk = await identityFromSeed(Buffer.alloc(32, 2));

describe("tls", { timeout: 20_000 }, () => {
  test("shows each end the key of the other, and who asks", async () => {
    for (const asks of [true, false]) {
      const [dialled, accepted] = await meet({ expect: attic.id, asks });
      assert.deepEqual([dialled.peer, accepted.peer], [attic.id, desk.id]);
      assert.deepEqual([dialled.protocol, accepted.protocol], asks ? ["ask", "ask"] : ["reverse", "reverse"]);
      assert.equal(dialled.socket.getProtocol(), "TLSv1.3");
      dialled.socket.destroy();
    }
  });

  test("takes whoever answers where no key is expected", async () => {
    const [dialled] = await meet({ expect: undefined, asks: true });
    assert.equal(dialled.peer, attic.id);
    dialled.socket.destroy();
  });

  test("hangs up when another key answers, and says which", async () => {
    const [near, far] = duplexPair();
    void new Tls(attic).accept(far, never).catch(() => undefined);
    await assert.rejects(new Tls(desk).dial(near, { expect: desk.id, asks: true }, never), { code: "wrong-key" });
    assert.ok(near.destroyed);
  });

  test("lets a client without a certificate in, as nobody", async () => {
    const [near, far] = duplexPair();
    const accepting = new Tls(attic).accept(far, never);
    const client = connect({ socket: near, rejectUnauthorized: false, ALPNProtocols: ["http/1.1"] });
    client.on("error", () => undefined);
    const { peer, protocol, socket } = await accepting;
    assert.deepEqual([peer, protocol], [undefined, "http1"]);
    socket.destroy();
    client.destroy();
  });

  test("refuses what is no TLS, and half a handshake", async () => {
    const [junk, one] = duplexPair();
    const refused = assert.rejects(new Tls(attic).accept(one, never), { code: "unreachable" });
    junk.write("GET / HTTP/1.1\r\n\r\n");
    await refused;
    const [half, two] = duplexPair();
    const gone = assert.rejects(new Tls(attic).accept(two, never), { code: "unreachable" });
    half.end(Buffer.from([22, 3, 1, 2, 0, 1, 0]));
    half.destroy();
    two.destroy();
    await gone;
  });

  test("ends at once when it is told to, before or in the middle, and leaves no listener", async () => {
    const stop = new AbortController();
    const [silent] = duplexPair();
    const dialling = new Tls(desk).dial(silent, { expect: attic.id, asks: true }, stop.signal);
    stop.abort(new Error("enough"));
    await assert.rejects(dialling, /enough/);
    assert.deepEqual(getEventListeners(stop.signal, "abort"), []);
    await assert.rejects(new Tls(desk).dial(duplexPair()[0], { expect: attic.id, asks: true }, stop.signal), /enough/);
  });
});

function meet(wanted: { readonly expect: Identity["id"] | undefined; readonly asks: boolean }) {
  const [near, far] = duplexPair();
  return Promise.all([new Tls(desk).dial(near, wanted, never), new Tls(attic).accept(far, never)]);
}
