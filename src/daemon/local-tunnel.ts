/**
 * A byte stream that a program of the person asks for: HTTP/1.1 `CONNECT` on the local socket, with what is wanted
 * (`box-exec:attic-box`) in the place of an address. The same kinds, the same decision and the same refusals as
 * between nodes; only the envelope differs.
 */

import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { failureReply, failures } from "../core/index.ts";
import { decodeTarget, type Tunnel } from "../network/index.ts";

export interface LocalTunnelDeps {
  readonly socket: Duplex;
  /** What came behind the request in the same piece. */
  readonly head: Buffer;
  /** Sent with every answer: what proves the daemon where the socket alone does not. */
  readonly headers: Readonly<Record<string, string>>;
}

export function localTunnel(request: IncomingMessage, { socket, head, headers }: LocalTunnelDeps): Tunnel {
  const gone = new AbortController();
  const leave = () => gone.abort();
  socket.on("error", leave); // whoever reads or writes hears of it as well
  socket.once("close", leave);
  if (head.length > 0) socket.unshift(head);
  // A socket that nobody reads does not notice its end. Who ends before there is an answer has left.
  const look = () => void (socket.readableLength === 0 && socket.read());
  const leaveEarly = () => socket.destroy();
  socket.on("readable", look).once("end", leaveEarly);
  const answer = (lines: string) => {
    socket.off("readable", look).off("end", leaveEarly);
    socket.write(lines);
  };
  return {
    target: decodeTarget(request.url ?? ""),
    caller: { kind: "local" },
    gone: gone.signal,
    accept() {
      answer(headLines("200 Connection Established", headers));
      return socket;
    },
    refuse(failure) {
      if (socket.destroyed) return;
      const body = JSON.stringify(failureReply(failure));
      const about = { "content-type": "application/json", "content-length": String(Buffer.byteLength(body)) };
      const lines = headLines(String(failures[failure.code].status), { ...headers, ...about, connection: "close" });
      answer(`${lines}${body}`);
      socket.end();
      socket.resume(); // so that the end of the other side is seen
    },
  };
}

function headLines(status: string, headers: Readonly<Record<string, string>>): string {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${status}${status.includes(" ") ? "" : " Refused"}\r\n${lines.join("")}\r\n`;
}
