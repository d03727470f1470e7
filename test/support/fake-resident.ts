/**
 * A resident that is not inside of anything: answers HTTP/2 as `resident/protocol.ts` says, in this process.
 *
 * `exec:` echoes what comes in as stdin, and ends with code 0 when that ends; `exit N` as argv ends at once. `port:` echoes
 * bytes. The rest is refused.
 */

import { createServer, type Http2ServerRequest, type ServerHttp2Stream } from "node:http2";
import { type Duplex, duplexPair } from "node:stream";
import { encodeFrame, FrameReader } from "../../src/sandbox/resident/frames.ts";

export function fakeResident(): Duplex {
  const [outer, inner] = duplexPair();
  const server = createServer();
  const answer = (stream: ServerHttp2Stream, status: number, body = "") => {
    stream.respond({ ":status": status });
    stream.end(body);
  };
  server.on("connect", ({ authority, stream }: Http2ServerRequest) => {
    const [kind = ""] = authority.split(":");
    stream.on("error", () => undefined);
    if (kind === "exec" || kind === "port" || kind === "put" || kind === "get" || kind === "ssh") {
      stream.respond({ ":status": 200 });
      if (kind === "exec") echoFrames(stream);
      else stream.pipe(stream);
    } else answer(stream, 404);
  });
  server.on("request", ({ method, stream }: Http2ServerRequest) => {
    const ready = { hostKey: `ssh-ed25519 ${"C".repeat(68)}`, user: "root" };
    if (method !== "CONNECT") answer(stream, 200, JSON.stringify(method === "PUT" ? ready : {}));
  });
  server.on("sessionError", () => undefined);
  server.emit("connection", inner);
  outer.once("close", () => inner.destroy());
  return outer;
}

function echoFrames(stream: ServerHttp2Stream): void {
  const reader = new FrameReader();
  stream.on("data", (bytes: Buffer) => {
    for (const { kind, content } of reader.take(bytes)) {
      const argv = kind === "start" ? (JSON.parse(content.toString()) as { argv: string[] }).argv : [];
      if (kind === "stdin") stream.write(encodeFrame("stdout", content));
      const code = kind === "stdinEnd" ? 0 : argv[0] === "exit" ? Number(argv[1]) : undefined;
      if (code !== undefined) stream.end(encodeFrame("end", JSON.stringify({ kind: "exited", code })));
    }
  });
}
