/** A node that speaks the protocol and keeps to none of its rules: it answers what a test says, on a real link. */

import { sign } from "node:crypto";
import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { silentLog, systemClock } from "../../src/base/index.ts";
import type { SignedRecord } from "../../src/core/index.ts";
import { Answering, type Identity, identityFromSeed, Network, TcpCarrier } from "../../src/network/index.ts";
import { SignedNode } from "./signed-node.ts";

type Routes = Record<string, (response: ServerResponse) => void>;

const never = new AbortController().signal;

export class EvilNode implements AsyncDisposable {
  readonly identity: Identity;
  /** By path, without the query. */
  readonly routes: Routes = {};
  readonly asked: string[] = [];
  address = "";
  /** Its own, as it describes itself now. */
  record: SignedRecord = { body: "", signature: "" };
  readonly #answering = new Answering(systemClock, { isKnown: () => true });
  readonly #network: Network;
  #listener: Awaited<ReturnType<Network["listen"]>> | undefined;

  static async open(): Promise<EvilNode> {
    const evil = new EvilNode(await identityFromSeed(Buffer.alloc(32, 0xee)));
    evil.#listener = await evil.#network.listen({ hosts: ["127.0.0.1"], port: 0 }, never);
    const port = evil.#listener.endpoints[0]?.port ?? 0;
    evil.address = `127.0.0.1:${port}`;
    evil.describe({ addresses: ["127.0.0.1"], port });
    return evil;
  }

  private constructor(identity: Identity) {
    this.identity = identity;
    const isTrusted = () => true;
    const carrier = new TcpCarrier({ identity, clock: systemClock, isTrusted });
    const deps = { id: identity.id, carrier, answering: this.#answering, clock: systemClock, log: silentLog };
    this.#network = new Network({ ...deps, isTrusted, isKnown: () => true });
    this.#answering.attach(
      ({ url = "" }, response) => this.#answer(url, response as ServerResponse),
      (tunnel) => tunnel.accept().destroy(),
    );
  }

  get id() {
    return this.identity.id;
  }

  /** What `GET /v1/node` says from now on: signed as it stands, whether or not it is a record. */
  describe(fields: Readonly<Record<string, unknown>>): void {
    const body = JSON.stringify({ ...new SignedNode(1).record(), id: this.id, name: "evil", ...fields });
    const signature = sign(null, Buffer.from(`p2prc record v1\n${body}`), this.identity.key).toString("base64url");
    const boot = "0123456789abcdef";
    this.record = { body, signature };
    this.say("/v1/node", { record: this.record, version: "0.1.0", protocol: [1], boot });
  }

  say(path: string, value: unknown): void {
    this.routes[path] = (response) => {
      response.writeHead(200, { "content-type": "application/json" });
      response.end(JSON.stringify(value));
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#listener?.[Symbol.asyncDispose]();
    await this.#network[Symbol.asyncDispose]();
    await this.#answering[Symbol.asyncDispose]();
  }

  #answer(url: string, response: ServerResponse): void {
    const [path = ""] = url.split("?");
    this.asked.push(path);
    const route = this.routes[path];
    if (route !== undefined) route(response);
    else response.writeHead(404).end("{}");
  }
}

/** Somebody who never asked for anything: counts who comes, and says nothing. */
export class Canary implements AsyncDisposable {
  visits = 0;
  port = 0;
  readonly #sockets: Socket[] = [];
  readonly #server: Server = createServer((socket) => {
    this.visits++;
    this.#sockets.push(socket);
    socket.on("error", () => undefined);
  });

  static async open(): Promise<Canary> {
    const canary = new Canary();
    canary.#server.listen(0, "127.0.0.1");
    await once(canary.#server, "listening");
    canary.port = (canary.#server.address() as AddressInfo).port;
    return canary;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }
}
