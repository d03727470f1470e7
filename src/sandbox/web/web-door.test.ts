import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type IncomingMessage, request, type Server } from "node:http";
import { connect as connectTcp } from "node:net";
import type { Duplex } from "node:stream";
import { text } from "node:stream/consumers";
import { describe, test } from "node:test";
import fc from "fast-check";
import { seededRandom, silentLog } from "../../base/index.ts";
import { Failure } from "../../core/index.ts";
import { cookiesToSet, cookiesWithoutOurs, judge, privateUrl, type Visited } from "./visit.ts";
import { WebDoor } from "./web-door.ts";

const { signal } = new AbortController();
const keys = { secret: seededRandom(1).bytes(32), port: 8087 };
const host = "box.p2prc.localhost:8087";

describe("a visit to a private URL", () => {
  test("is let in by its token, which becomes a cookie of this host alone", () => {
    const visit = knock({ url: `${pathOf(privateUrl({ box: "box", port: undefined }, keys))}&a=1` });
    assert.ok(visit.kind === "welcome");
    assert.equal(visit.to, "/?a=1");
    assert.match(visit.cookie, /; Path=\/; HttpOnly; SameSite=Strict$/);
    const [cookie = ""] = visit.cookie.split(";");
    assert.deepEqual(knock({ headers: { cookie } }), { kind: "admitted", box: "box", port: undefined });
    assert.equal(knock({ headers: { cookie, host: "other.p2prc.localhost:8087" } }).kind, "refused");
    assert.equal(knock({ headers: { cookie, host: `3000.${host}` } }).kind, "refused");
  });

  test("names a port in its host", () => {
    const cookie = cookieFor({ box: "box", port: 3_000 });
    assert.deepEqual(knock({ headers: { cookie, host: `3000.${host}` } }), {
      kind: "admitted",
      box: "box",
      port: 3_000,
    });
  });

  test("under any other name is refused, whoever's DNS leads here", () => {
    const cookie = cookieFor({ box: "box", port: undefined });
    const others = [
      "127.0.0.1:8087",
      "localhost:8087",
      "evil.example:8087",
      "box.p2prc.localhost",
      "box.p2prc.localhost:80",
      "box.p2prc.localhost.evil.example:8087",
      "a.b.box.p2prc.localhost:8087",
      "99999999.box.p2prc.localhost:8087",
      "",
    ];
    for (const other of others) {
      const visit = knock({ headers: { cookie, host: other } });
      assert.ok(visit.kind === "refused" && visit.status === 421, other);
    }
  });

  test("that another site asked for is refused, cookie or not, other sandboxes included", () => {
    const cookie = cookieFor({ box: "box", port: undefined });
    for (const site of ["cross-site", "same-site"]) {
      assert.equal(knock({ headers: { cookie, "sec-fetch-site": site } }).kind, "refused");
    }
    for (const origin of ["http://evil.example", "http://other.p2prc.localhost:8087", "null"]) {
      assert.equal(knock({ method: "POST", headers: { cookie, origin } }).kind, "refused");
      assert.equal(knock({ upgrade: true, headers: { cookie, origin } }).kind, "refused");
    }
    assert.equal(knock({ method: "POST", headers: { cookie, origin: `http://${host}` } }).kind, "admitted");
    assert.equal(knock({ headers: { cookie, "sec-fetch-site": "none" } }).kind, "admitted");
  });

  test("does nothing by the token alone but to let in", () => {
    const url = pathOf(privateUrl({ box: "box", port: undefined }, keys));
    assert.equal(knock({ url, method: "POST" }).kind, "refused");
    assert.equal(knock({ url, upgrade: true }).kind, "refused");
  });

  test("with any other token or cookie is refused", () => {
    fc.assert(
      fc.property(fc.string(), (made) => {
        const tries = [{ url: `/?p2prc-token=${made}` }, { headers: { cookie: `p2prc-token=${made}` } }, { url: made }];
        return tries.every((each) => knock(each).kind === "refused");
      }),
    );
  });
});

describe("cookies", () => {
  test("of ours are not shown to the sandbox", () => {
    assert.equal(cookiesWithoutOurs("a=1; p2prc-token=x; b=2"), "a=1; b=2");
    assert.equal(cookiesWithoutOurs("p2prc-token=x"), undefined);
  });

  test("of the sandbox are for its own host, and never ours", () => {
    assert.deepEqual(
      cookiesToSet(["a=1; Domain=p2prc.localhost; Path=/", "p2prc-token=x", " p2prc-token=y; HttpOnly"]),
      ["a=1; Path=/"],
    );
  });
});

describe("WebDoor", () => {
  test("shows a page of a sandbox to who was let in, and hides the token from it", async () => {
    await using lab = await Lab.open();
    const first = await lab.get({ path: pathOf(lab.door.urlOf({ box: "box", port: undefined })) });
    assert.match(first.body, /http-equiv="refresh" content="0;url=\/"/);
    const [cookie = ""] = (first.headers["set-cookie"]?.[0] ?? "").split(";");
    const page = await lab.get({ path: "/hello?x=1", headers: { cookie: `${cookie}; mine=1` } });
    assert.equal(page.body, `GET /hello?x=1 box.p2prc.localhost:${lab.door.port} mine=1`);
    assert.deepEqual(page.headers["set-cookie"], ["session=1; Path=/"]);
    await lab.get({ path: "/again", headers: { cookie } });
    assert.equal(lab.streams, 1, "the stream is used again");
  });

  test("says why there is nothing, without a stack", async () => {
    await using lab = await Lab.open();
    const stranger = await lab.get({ path: "/" });
    assert.deepEqual([stranger.status, /let in/.test(stranger.body)], [403, true]);
    const cookie = lab.cookie();
    lab.refusal = new Failure("not-found", "there is no <box>");
    const gone = await lab.get({ path: "/", headers: { cookie } });
    assert.deepEqual([gone.status, /there is no &#60;box&#62;/.test(gone.body)], [404, true]);
  });

  test("carries WebSockets of the same origin, and no others", async () => {
    await using lab = await Lab.open();
    const cookie = lab.cookie();
    const origin = `http://box.p2prc.localhost:${lab.door.port}`;
    assert.match(await lab.upgrade({ cookie, origin }), /^HTTP\/1\.1 101 .*echo: ping/s);
    assert.match(await lab.upgrade({ cookie, origin: "http://evil.example" }), /^HTTP\/1\.1 403/);
    assert.match(await lab.upgrade({ origin }), /^HTTP\/1\.1 403/);
  });

  test("takes the next port where the first is taken", async () => {
    await using lab = await Lab.open();
    const { connect, secret } = lab;
    await using second = await WebDoor.open({ connect, secret, log: silentLog }, { ports: [lab.door.port, 0] }, signal);
    assert.notEqual(second.port, lab.door.port);
  });
});

function knock(asked: {
  readonly method?: string;
  readonly url?: string;
  readonly upgrade?: boolean;
  readonly headers?: Readonly<Record<string, string>>;
}) {
  const { method = "GET", url = "/", upgrade = false, headers = {} } = asked;
  return judge({ method, url, upgrade, headers: { host, ...headers } }, keys);
}

function cookieFor(visited: Visited): string {
  return pathOf(privateUrl(visited, keys)).slice("/?".length);
}

function pathOf(url: string): string {
  const { pathname, search } = new URL(url);
  return `${pathname}${search}`;
}

interface Got {
  readonly status: number | undefined;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

/** A sandbox that is a web server of this process. */
class Lab implements AsyncDisposable {
  readonly secret = seededRandom(2).bytes(32);
  readonly door: WebDoor;
  readonly #server: Server;
  streams = 0;
  refusal: Failure | undefined;

  static async open(): Promise<Lab> {
    const server = createServer((asked, answer) => {
      answer.setHeader("set-cookie", ["session=1; Domain=p2prc.localhost; Path=/", "p2prc-token=stolen"]);
      answer.end(`${asked.method} ${asked.url} ${asked.headers.host} ${asked.headers.cookie ?? ""}`);
    });
    server.on("upgrade", (_asked, socket: Duplex) => {
      socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
      socket.once("data", (data: Buffer) => socket.end(`echo: ${data.toString()}`));
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const lab: { current?: Lab } = {};
    const connect = (visited: Visited) => lab.current?.connect(visited) ?? assert.fail();
    const door = await WebDoor.open(
      { connect, secret: seededRandom(2).bytes(32), log: silentLog },
      { ports: [0] },
      signal,
    );
    lab.current = new Lab(server, door);
    return lab.current;
  }

  private constructor(server: Server, door: WebDoor) {
    this.#server = server;
    this.door = door;
  }

  readonly connect = async (_visited: Visited): Promise<Duplex> => {
    if (this.refusal !== undefined) throw this.refusal;
    this.streams++;
    const address = this.#server.address();
    const socket = connectTcp(typeof address === "object" && address !== null ? address.port : 0, "127.0.0.1");
    await once(socket, "connect");
    return socket;
  };

  cookie(): string {
    return pathOf(this.door.urlOf({ box: "box", port: undefined })).slice("/?".length);
  }

  async get({
    path,
    headers = {},
  }: {
    readonly path: string;
    readonly headers?: Readonly<Record<string, string>>;
  }): Promise<Got> {
    const asked = request({
      port: this.door.port,
      path,
      headers: { host: `box.p2prc.localhost:${this.door.port}`, ...headers },
    });
    asked.end();
    const [reply] = (await once(asked, "response")) as [IncomingMessage];
    return { status: reply.statusCode, headers: reply.headers, body: await text(reply) };
  }

  /** Everything that comes back. */
  async upgrade(headers: Readonly<Record<string, string>>): Promise<string> {
    const socket = connectTcp(this.door.port, "127.0.0.1");
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    socket.write(
      `GET /ws HTTP/1.1\r\nHost: box.p2prc.localhost:${this.door.port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n${lines.join("")}\r\n`,
    );
    let said = "";
    socket.on("data", (data: Buffer) => {
      if (said === "" && data.toString().startsWith("HTTP/1.1 101")) socket.write("ping");
      said += data.toString();
    });
    await once(socket, "close");
    return said;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.door[Symbol.asyncDispose]();
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }
}
