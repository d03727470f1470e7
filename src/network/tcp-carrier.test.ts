import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { describe, test } from "node:test";
import { connect as connectTls } from "node:tls";
import { promisify } from "node:util";
import { silentLog, systemClock } from "../base/index.ts";
import type { Caller } from "../core/index.ts";
import { Answering } from "./answering.ts";
import { identityFromSeed } from "./identity.ts";
import type { Listener } from "./carrier.ts";
import { Network } from "./network.ts";
import { TcpCarrier, type TcpCarrierOptions } from "./tcp-carrier.ts";

const never = new AbortController().signal;

describe("a TCP listener", () => {
  test("hangs up on who connects and never speaks", async () => {
    await using lab = await Lab.open({ handshakeTimeoutMs: 100 });
    const socket = await lab.dial();
    await once(socket, "close");
  });

  test("hangs up on who stops in the middle of the handshake", async () => {
    await using lab = await Lab.open({ handshakeTimeoutMs: 100 });
    const socket = await lab.dial();
    socket.write(Buffer.from("160301020001000", "hex")); // the first bytes of a ClientHello
    await once(socket, "close");
  });

  test("hangs up on who says something else than TLS", async () => {
    await using lab = await Lab.open({});
    const socket = await lab.dial();
    socket.write("GET / HTTP/1.1\r\n\r\n");
    await once(socket, "close");
  });

  test("takes so many handshakes at once and no more", async () => {
    await using lab = await Lab.open({ maxHandshakes: 4, handshakeTimeoutMs: 60_000 });
    const sockets = await Promise.all(Array.from({ length: 10 }, () => lab.dial()));
    await lab.until(() => sockets.filter((socket) => socket.destroyed || socket.readableEnded).length === 6);
    for (const socket of sockets) socket.destroy();
  });

  test("lets a newcomer in while one address, or as many as there are places, only connect", async () => {
    await using lab = await Lab.open({ handshakeTimeoutMs: 60_000 });
    for (let i = 0; i < 70; i++) await lab.dial("127.0.0.2");
    for (let i = 0; i < 64; i++) await lab.dial(`127.0.1.${i + 1}`);
    await lab.manyPipes(1);
    await lab.until(() => lab.answering.callers.length === 1);
  });

  test("takes so many pipes of one address and no more, and all of a trusted one", async () => {
    await using strict = await Lab.open({ maxPipesPerAddress: 3 });
    await strict.manyPipes(6);
    await strict.until(() => strict.answering.callers.length === 3);
    await using trusting = await Lab.open({ maxPipesPerAddress: 3 }, { trusted: true });
    await trusting.manyPipes(6);
    await trusting.until(() => trusting.answering.callers.length === 6);
  });

  test("tells of a defect in taking somebody in, and goes on", async () => {
    const identity = await identityFromSeed(randomBytes(32));
    const defects: unknown[] = [];
    const onDefect = (error: unknown) => void defects.push(error);
    const carrier = new TcpCarrier({ identity, clock: systemClock, isTrusted: () => true, onDefect });
    const taken = [new TypeError("a defect"), undefined];
    const second = Promise.withResolvers<void>();
    const onPipe = () => {
      const defect = taken.shift();
      if (defect !== undefined) throw defect;
      second.resolve();
    };
    const listener = await carrier.listen(onPipe, { hosts: ["127.0.0.1"], port: 0 }, never);
    const [endpoint = assert.fail()] = listener.endpoints;
    const first = await carrier.dial({ endpoint, expect: identity.id, asks: true }, never);
    first.duplex.on("error", () => undefined).resume();
    await once(first.duplex, "close");
    const next = await carrier.dial({ endpoint, expect: identity.id, asks: true }, never);
    await second.promise;
    assert.match(String(defects), /^TypeError: a defect$/);
    next.duplex.destroy();
    await listener[Symbol.asyncDispose]();
  });

  test("says who holds a port that is taken", async () => {
    await using lab = await Lab.open({});
    const other = createServer().listen(0, "127.0.0.1");
    await once(other, "listening");
    const address = other.address();
    assert.ok(address !== null && typeof address === "object");
    const listening = lab.network.listen({ hosts: ["127.0.0.1"], port: address.port }, never);
    const holder = process.platform === "linux" ? ` by .* \\(process ${process.pid}\\)` : "";
    await assert.rejects(listening, {
      code: "port-in-use",
      message: new RegExp(`^port ${address.port} is taken${holder}$`),
    });
    other.close();
  });

  test("refuses a host name and an address that this machine lacks", async () => {
    await using lab = await Lab.open({});
    await assert.rejects(lab.network.listen({ hosts: ["attic.example"], port: 0 }, never), { code: "bad-address" });
    await assert.rejects(lab.network.listen({ hosts: ["192.0.2.1"], port: 0 }, never), { code: "bad-address" });
  });

  test("takes the same free port on each address that was named", async () => {
    await using lab = await Lab.open({});
    await using listener = await lab.network.listen({ hosts: ["127.0.0.1", "127.0.0.2"], port: 0 }, never);
    assert.equal(new Set(listener.endpoints.map(({ port }) => port)).size, 1);
  });

  for (const version of ["--http2", "--http1.1"]) {
    test(`answers curl ${version}, which has no key, as anonymous`, async () => {
      await using lab = await Lab.open({});
      const { stdout } = await promisify(execFile)("curl", ["-sk", version, `https://127.0.0.1:${lab.port}/`]);
      assert.equal(stdout, "anonymous");
    });
  }

  test("closes cleanly with pipes open", async () => {
    const lab = await Lab.open({}, { trusted: true });
    await lab.manyPipes(3);
    await lab[Symbol.asyncDispose]();
    await lab.until(() => lab.answering.callers.length === 0);
  });
});

/** One listening node; strangers connect to it. */
class Lab implements AsyncDisposable {
  readonly answering: Answering;
  readonly network: Network;
  readonly #sockets: Socket[] = [];
  #listener: Listener | undefined;

  static async open(options: TcpCarrierOptions, { trusted = false } = {}): Promise<Lab> {
    const identity = await identityFromSeed(randomBytes(32));
    const carrier = new TcpCarrier({ identity, clock: systemClock, isTrusted: () => trusted }, options);
    const answering = new Answering(systemClock, { isKnown: () => false });
    const deps = { id: identity.id, carrier, answering, clock: systemClock, log: silentLog };
    const lab = new Lab(answering, new Network({ ...deps, isTrusted: () => trusted, isKnown: () => false }));
    lab.answering.attach(
      (request, response) => void response.end(named(lab.answering.callerOf(request))),
      (tunnel) => tunnel.accept().destroy(),
    );
    lab.#listener = await lab.network.listen({ hosts: ["127.0.0.1"], port: 0 }, never);
    return lab;
  }

  private constructor(answering: Answering, network: Network) {
    this.answering = answering;
    this.network = network;
  }

  get port(): number {
    return this.#listener?.endpoints[0]?.port ?? 0;
  }

  async dial(from = "127.0.0.1"): Promise<Socket> {
    const socket = connect({ port: this.port, host: "127.0.0.1", localAddress: from }).resume();
    socket.on("error", () => {});
    this.#sockets.push(socket);
    await once(socket, "connect");
    return socket;
  }

  async manyPipes(count: number): Promise<void> {
    for (let i = 0; i < count; i++) {
      const socket = connectTls({
        port: this.port,
        host: "127.0.0.1",
        rejectUnauthorized: false,
        ALPNProtocols: ["h2"],
      });
      socket.on("error", () => {});
      this.#sockets.push(socket);
      await new Promise((resolve) => socket.once("secureConnect", resolve).once("close", resolve));
    }
  }

  async until(isSo: () => boolean): Promise<void> {
    for (let tries = 0; !isSo(); tries++) {
      if (tries > 300) throw new Error("it did not come about within 3 s");
      await systemClock.sleep(10, never);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await this.network[Symbol.asyncDispose]();
    await this.answering[Symbol.asyncDispose]();
    await this.#listener?.[Symbol.asyncDispose]();
  }
}

function named(caller: Caller): string {
  return caller.kind;
}
