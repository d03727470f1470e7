import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:net";
import { describe, test } from "node:test";
import { silentLog, systemClock } from "../base/index.ts";
import { type Endpoint, Failure } from "../core/index.ts";
import { Answering } from "./answering.ts";
import { identityFromSeed } from "./identity.ts";
import { Network } from "./network.ts";
import { TcpCarrier } from "./tcp-carrier.ts";

const never = new AbortController().signal;

describe("what a person hears of an address where no node is", () => {
  for (const banner of ["HTTP/1.1 400 Bad Request\r\n\r\n", "SSH-2.0-OpenSSH_9.9\r\n"]) {
    test(`is one clean line when "${banner.slice(0, 8)}" answers`, async () => {
      await using server = createServer(
        (socket) =>
          void socket
            .on("error", () => {})
            .resume()
            .end(banner),
      );
      await once(server.listen(0, "127.0.0.1"), "listening");
      const address = server.address();
      assert.ok(typeof address === "object" && address !== null);
      const { message } = await failureAt({ host: "127.0.0.1", port: address.port });
      assert.equal(message, "no p2prc node answers there: what answers does not speak TLS");
    });
  }

  test("is that the name does not resolve, and what to do", async () => {
    const host = "x".repeat(64); // longer than a label may be: no resolver sends that anywhere
    const { message, hint } = await failureAt({ host, port: 8088 });
    assert.equal(message, `the name "${host}" does not resolve to an address`);
    assert.match(hint ?? "", /spelling.*IP address/);
  });
});

test("a name that does not resolve is among the attempts, and keeps nobody from the other ways", async () => {
  await using lab = await Lab.open();
  const id = (await identityFromSeed(randomBytes(32))).id;
  const endpoints = [
    { host: "x".repeat(64), port: 8088 },
    { host: "127.0.0.1", port: 1 },
  ];
  await assert.rejects(lab.network.link({ id, endpoints, via: [] }, never), {
    message: /nothing listens there; the name "x+" does not resolve/,
  });
  assert.deepEqual(
    lab.network.attempts(id).map(({ address }) => address.slice(0, 5)),
    ["127.0", "xxxxx"],
  );
});

async function failureAt(endpoint: Endpoint): Promise<Failure> {
  await using lab = await Lab.open();
  const failure = await lab.network.identify(endpoint, never).catch((error: unknown) => error);
  assert.ok(failure instanceof Failure && failure.code === "unreachable");
  return failure;
}

/** A node that dials. */
class Lab implements AsyncDisposable {
  readonly network: Network;
  readonly #answering: Answering;

  static async open(): Promise<Lab> {
    const identity = await identityFromSeed(randomBytes(32));
    const isTrusted = () => true;
    const answering = new Answering(systemClock, { isKnown: () => false });
    const carrier = new TcpCarrier({ identity, clock: systemClock, isTrusted });
    const deps = { id: identity.id, carrier, answering, clock: systemClock, log: silentLog, isTrusted };
    return new Lab(new Network({ ...deps, isKnown: () => false }), answering);
  }

  private constructor(network: Network, answering: Answering) {
    this.network = network;
    this.#answering = answering;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.network[Symbol.asyncDispose]();
    await this.#answering[Symbol.asyncDispose]();
  }
}
