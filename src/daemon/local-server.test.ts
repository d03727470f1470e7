import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { request } from "node:http";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { Failure, localProof } from "../core/index.ts";
import type { RawRequest, RawResponse, Tunnel } from "../network/index.ts";
import { openHome } from "../store/index.ts";
import { isLocal, LocalServer } from "./local-server.ts";

describe("CONNECT on the local socket", () => {
  test("is a byte stream of the person's own, both ways, whatever came with the request", async () => {
    await using lab = await Lab.open((tunnel) => {
      assert.deepEqual([tunnel.target, tunnel.caller], ["box-port:box/80 80", { kind: "local" }]);
      const stream = tunnel.accept();
      stream.pipe(stream);
    });
    const socket = lab.dial();
    socket.write("CONNECT box-port:box%2F80%2080 HTTP/1.1\r\nhost: x\r\n\r\nearly ");
    await once(socket, "readable");
    socket.end("late");
    assert.equal(await textOf(socket), "HTTP/1.1 200 Connection Established\r\n\r\nearly late");
  });

  test("is refused with a status and the failure", async () => {
    await using lab = await Lab.open((tunnel) => tunnel.refuse(new Failure("not-found", "no box", { hint: "look" })));
    const socket = lab.dial();
    socket.write("CONNECT box-exec:no HTTP/1.1\r\nhost: x\r\n\r\n");
    const text = await textOf(socket);
    assert.match(text, /^HTTP\/1\.1 404 /);
    assert.deepEqual(JSON.parse(text.split("\r\n\r\n")[1] ?? ""), {
      error: { code: "not-found", message: "no box", hint: "look" },
    });
  });

  test("tells when the asker leaves before there is an answer", async () => {
    const asked = Promise.withResolvers<Tunnel>();
    await using lab = await Lab.open(asked.resolve);
    const socket = lab.dial();
    socket.write("CONNECT box-exec:slow HTTP/1.1\r\nhost: x\r\n\r\n");
    const { gone } = await asked.promise;
    assert.equal(gone.aborted, false);
    socket.destroy();
    await once(gone, "abort");
  });

  test("needs the token where any user may open the pipe, and shows the daemon's own proof", async () => {
    await using lab = await Lab.open((tunnel) => tunnel.accept().end(), "a token");
    const bare = lab.dial();
    bare.write("CONNECT box-exec:box HTTP/1.1\r\nhost: x\r\n\r\n");
    assert.match(await textOf(bare), /^HTTP\/1\.1 404 /);
    for (const [proof, status] of [
      [localProof("another token", "client", "n"), 404],
      [localProof("a token", "client", "n"), 200],
    ] as const) {
      const headers = { "p2prc-nonce": "n", "p2prc-proof": proof };
      const asking = request({ socketPath: lab.path, method: "CONNECT", path: "box-exec:box", headers }).end();
      const [response] = (await once(asking, "connect")) as [{ statusCode: number; headers: Record<string, string> }];
      assert.equal(response.statusCode, status);
      if (status === 200) assert.equal(response.headers["p2prc-proof"], localProof("a token", "daemon", "n"));
    }
  });
});

test("who asks on the local socket is the person, also before whoever opened it knows that it is open", async () => {
  const folder = await mkdtemp(join(tmpdir(), "p2prc-local-"));
  const about = { platform: process.platform, uid: process.getuid?.(), runtimeFolder: undefined, tempFolder: folder };
  const home = await openHome(folder, about);
  const asked = Promise.withResolvers<boolean>();
  const answers = {
    requests: (raw: RawRequest, response: RawResponse) => {
      asked.resolve(isLocal(raw));
      response.end();
    },
    tunnels: () => undefined,
  };
  const opening = LocalServer.open(answers, { home, token: undefined }, new AbortController().signal);
  const socket = connect(home.socket).on("error", () => undefined);
  socket.write("GET / HTTP/1.1\r\nhost: x\r\n\r\n");
  assert.equal(await asked.promise, true);
  socket.destroy();
  await (await opening)[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

class Lab implements AsyncDisposable {
  readonly path: string;
  readonly #server: LocalServer;
  readonly #folder: string;

  static async open(tunnels: (tunnel: Tunnel) => void, token?: string): Promise<Lab> {
    const folder = await mkdtemp(join(tmpdir(), "p2prc-local-"));
    const home = await openHome(folder, {
      platform: process.platform,
      uid: process.getuid?.(),
      runtimeFolder: undefined,
      tempFolder: folder,
    });
    const answers = { requests: () => undefined, tunnels };
    const server = await LocalServer.open(answers, { home, token }, new AbortController().signal);
    return new Lab(home.socket, server, folder);
  }

  private constructor(path: string, server: LocalServer, folder: string) {
    this.path = path;
    this.#server = server;
    this.#folder = folder;
  }

  dial(): Socket {
    return connect({ path: this.path, allowHalfOpen: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server[Symbol.asyncDispose]();
    await rm(this.#folder, { recursive: true });
  }
}

async function textOf(socket: Socket): Promise<string> {
  let text = "";
  for await (const chunk of socket) text += String(chunk);
  return text;
}
