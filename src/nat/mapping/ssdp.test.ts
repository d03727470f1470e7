import assert from "node:assert/strict";
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { describe, test } from "node:test";
import { VirtualClock } from "../../../test/support/virtual-clock.ts";
import { findDescription } from "./ssdp.ts";

const { signal } = new AbortController();
const GATEWAY = "127.0.0.9";
const OWN = "127.0.0.1";

describe("findDescription", () => {
  test("takes the router's own word for a place on the router itself, and nobody else's", async () => {
    await using street = await Street.open();
    const finding = findDescription({ gateway: GATEWAY, own: OWN, clock: street.clock }, signal);
    const asker = await street.asked();
    // In this order: each one that were believed would be the answer.
    await street.say(street.impostor, asker, answer("http://127.0.0.10:5000/rootDesc.xml"));
    await street.say(street.impostor, asker, answer(`http://${GATEWAY}:5000/impostor.xml`));
    await street.say(street.router, asker, answer("http://203.0.113.9/rootDesc.xml"));
    await street.say(street.router, asker, answer("not a place"));
    await street.say(
      street.router,
      asker,
      `HTTP/1.1 200 OK\r\nST: upnp:rootdevice\r\nLOCATION: http://${GATEWAY}/x\r\n\r\n`,
    );
    await street.say(street.router, asker, `${answer(`http://${GATEWAY}:5000/long.xml`)}${"x".repeat(4_000)}`);
    await street.say(street.router, asker, Buffer.from([0xff, 0x00, 0xfe]));
    await street.say(street.router, asker, answer(`http://${GATEWAY}:5000/rootDesc.xml`));
    assert.equal((await finding).href, `http://${GATEWAY}:5000/rootDesc.xml`);
  });

  test("gives a silent router up after a few seconds", async () => {
    await using street = await Street.open();
    const finding = assert.rejects(findDescription({ gateway: GATEWAY, own: OWN, clock: street.clock }, signal), {
      code: "unreachable",
    });
    await street.asked();
    await street.clock.advance(3_000);
    await finding;
    assert.equal(street.clock.sleeperCount, 0);
  });

  test("is no defect when the machine has lost its address meanwhile", async () => {
    const clock = new VirtualClock();
    const finding = assert.rejects(findDescription({ gateway: GATEWAY, own: "192.0.2.77", clock }, signal), {
      code: "unreachable",
    });
    for (let turn = 0; turn < 20; turn++) await clock.advance(100);
    await finding;
    assert.equal(clock.sleeperCount, 0);
  });

  test("ends when it is aborted", async () => {
    await using street = await Street.open();
    const ending = new AbortController();
    const finding = findDescription({ gateway: GATEWAY, own: OWN, clock: street.clock }, ending.signal);
    await street.asked();
    ending.abort();
    await assert.rejects(finding, { name: "AbortError" });
  });
});

function answer(location: string): string {
  const target = "urn:schemas-upnp-org:device:InternetGatewayDevice:1";
  return `HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=120\r\nST: ${target}\r\nLOCATION: ${location}\r\n\r\n`;
}

/** Loopback: a router that hears searches, and somebody else on the same network. */
class Street implements AsyncDisposable {
  readonly clock = new VirtualClock();
  readonly router: Socket;
  readonly impostor: Socket;

  static async open(): Promise<Street> {
    const [router, impostor] = [createSocket("udp4"), createSocket("udp4")];
    router.bind(1900, GATEWAY);
    impostor.bind(0, "127.0.0.10");
    await Promise.all([once(router, "listening"), once(impostor, "listening")]);
    return new Street(router, impostor);
  }

  private constructor(router: Socket, impostor: Socket) {
    this.router = router;
    this.impostor = impostor;
  }

  /** The port of whoever searches, once he does. */
  async asked(): Promise<number> {
    const [packet, from] = (await once(this.router, "message")) as [Buffer, { readonly port: number }];
    assert.match(
      packet.toString(),
      /^M-SEARCH \* HTTP\/1\.1\r\nHOST: 239\.255\.255\.250:1900\r\nMAN: "ssdp:discover"\r\n/,
    );
    return from.port;
  }

  async say(who: Socket, port: number, words: string | Buffer): Promise<void> {
    await new Promise((resolve) => who.send(words, port, OWN, resolve));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.router.close();
    this.impostor.close();
    await Promise.all([once(this.router, "close"), once(this.impostor, "close")]);
  }
}
