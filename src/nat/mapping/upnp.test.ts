import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, describe, test } from "node:test";
import { text } from "node:stream/consumers";
import { VirtualClock } from "../../../test/support/virtual-clock.ts";
import { systemClock } from "../../base/index.ts";
import { call, element, readServices, UpnpError } from "./soap.ts";

const { signal } = new AbortController();
const options = { own: "127.0.0.1", clock: systemClock };

describe("a router's description", () => {
  let router: Awaited<ReturnType<typeof openRouter>>;
  before(async () => {
    router = await openRouter();
  });
  after(() => void router.server.close());

  test("names services, of which only those on the router itself count", async () => {
    router.answer = () => ({
      status: 200,
      body: `<root xmlns="urn:schemas-upnp-org:device-1-0"><URLBase>http://203.0.113.9/</URLBase>
        ${service("urn:schemas-upnp-org:service:WANIPConnection:1", "/ctl/ip")}
        ${service("urn:schemas-upnp-org:service:WANIPConnection:2", "http://203.0.113.9/ctl")}
        ${service("urn:schemas-upnp-org:service:WANIPConnection:2", "file:///etc/passwd")}
        <service><serviceType>nothing</serviceType></service></root>`,
    });
    const services = await readServices(router.place, options, signal);
    assert.deepEqual(
      services.map(({ type, control }) => [type, control.href]),
      [["urn:schemas-upnp-org:service:WANIPConnection:1", `${router.place.origin}/ctl/ip`]],
    );
  });

  test("is not followed to where it has gone", async () => {
    router.answer = () => ({ status: 302, body: "", location: "http://203.0.113.9/rootDesc.xml" });
    await assert.rejects(readServices(router.place, options, signal), { code: "bad-reply" });
  });

  test("is read no further than is reasonable", async () => {
    router.answer = () => ({ status: 200, body: "<service>".repeat(100_000) });
    await assert.rejects(readServices(router.place, options, signal), { code: "unreachable" });
  });

  test("holds up nothing, whatever it repeats", async () => {
    const start = systemClock.now();
    router.answer = () => ({ status: 200, body: "<service>".repeat(29_000) });
    assert.deepEqual(await readServices(router.place, options, signal), []);
    assert.equal(element("<NewExternalIPAddress ".repeat(11_900), "NewExternalIPAddress"), undefined);
    assert.equal(element(`<${"a".repeat(260_000)}`, "NewExternalIPAddress"), undefined);
    assert.ok(systemClock.now() - start < 2_000); // 6 s each, where the same text is read again for each beginning
  });

  test("is not waited for for ever", async () => {
    router.answer = () => undefined;
    const clock = new VirtualClock();
    const reading = assert.rejects(readServices(router.place, { ...options, clock }, signal), { code: "unreachable" });
    await clock.advance(3_000);
    await reading;
  });
});

describe("a call", () => {
  let router: Awaited<ReturnType<typeof openRouter>>;
  before(async () => {
    router = await openRouter();
  });
  after(() => void router.server.close());
  const type = "urn:schemas-upnp-org:service:WANIPConnection:2";

  test("says what it wants in order, and nothing that ends an element", async () => {
    router.answer = () => ({
      status: 200,
      body: "<s:Body><u:R><NewReservedPort>8090</NewReservedPort></u:R></s:Body>",
    });
    const words = [
      ["NewExternalPort", 8088],
      ["NewPortMappingDescription", "</x>&<y>"],
    ] as const;
    const said = await call({ type, control: router.place, action: "AddAnyPortMapping", words }, options, signal);
    assert.equal(element(said, "NewReservedPort"), "8090");
    assert.match(
      router.heard,
      /<u:AddAnyPortMapping xmlns:u="[^"]+"><NewExternalPort>8088<\/NewExternalPort><NewPortMappingDescription>&#60;\/x&#62;&#38;&#60;y&#62;<\/NewPortMappingDescription><\/u:AddAnyPortMapping>/,
    );
    assert.equal(router.action, `"${type}#AddAnyPortMapping"`);
  });

  test("fails with the router's own number and words, cleaned", async () => {
    router.answer = () => ({
      status: 500,
      body: "<UPnPError><errorCode>718</errorCode><errorDescription>Conflict\u001b[31mInMappingEntry</errorDescription></UPnPError>",
    });
    const calling = call({ type, control: router.place, action: "AddPortMapping", words: [] }, options, signal);
    await assert.rejects(calling, (error) => {
      assert.ok(error instanceof UpnpError);
      assert.equal(error.code, 718);
      assert.ok(!error.message.includes("\u001b"));
      return true;
    });
  });

  test("fails where the answer is none", async () => {
    router.answer = () => ({ status: 404, body: "not found" });
    const calling = call({ type, control: router.place, action: "AddPortMapping", words: [] }, options, signal);
    await assert.rejects(calling, { code: "bad-reply" });
  });
});

describe("element", () => {
  test("finds the first one, whatever its prefix and attributes", () => {
    assert.equal(element('<u:A xmlns:u="x"><m:NewPort a="1"> 7 </m:NewPort></u:A>', "NewPort"), "7");
    assert.equal(element("<NewPorts>7</NewPorts>", "NewPort"), undefined);
    assert.equal(element("", "NewPort"), undefined);
  });
});

function service(type: string, control: string): string {
  return `<service><serviceType>${type}</serviceType><serviceId>x</serviceId><controlURL>${control}</controlURL></service>`;
}

interface Said {
  readonly status: number;
  readonly body: string;
  readonly location?: string;
}

interface FakeRouter {
  readonly server: Server;
  readonly place: URL;
  answer: () => Said | undefined;
  heard: string;
  action: string;
}

async function openRouter(): Promise<FakeRouter> {
  const server = createServer((request: IncomingMessage, response) => {
    void text(request).then((heard) => {
      router.heard = heard;
      router.action = String(request.headers["soapaction"] ?? "");
      const said = router.answer();
      if (said === undefined) return;
      response.writeHead(said.status, {
        "content-type": "text/xml",
        ...(said.location === undefined ? {} : { location: said.location }),
      });
      response.end(said.body);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const place = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/rootDesc.xml`);
  const router: FakeRouter = { server, place, answer: () => undefined, heard: "", action: "" };
  return router;
}
