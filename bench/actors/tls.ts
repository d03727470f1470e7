/** One end of plain TLS, as Node makes it, with the certificate of a node: what a link is compared with. */

import { randomBytes } from "node:crypto";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { connect, createServer, type TLSSocket } from "node:tls";
import { identityFromSeed } from "../../src/network/index.ts";
import { act } from "../support/actor.ts";
import { drain, fill, order } from "../support/octets.ts";

const LOOPBACK = "127.0.0.1";

interface Pull {
  readonly port: number;
  readonly streams: number;
  readonly bytes: number;
  readonly host?: string;
}

const part = {
  async listen(host = LOOPBACK): Promise<number> {
    const { certificate, privateKey } = await identityFromSeed(randomBytes(32));
    const server = createServer({ cert: certificate, key: privateKey, minVersion: "TLSv1.3" }, fill);
    server.listen(0, host);
    await once(server, "listening");
    return (server.address() as AddressInfo).port;
  },

  /** @returns milliseconds from the first order to the last byte; the handshakes came before */
  async pull({ port, streams, bytes, host = LOOPBACK }: Pull): Promise<number> {
    const sockets = await Promise.all(Array.from({ length: streams }, () => open(port, host)));
    const from = performance.now();
    await Promise.all(
      sockets.map((socket) => {
        socket.write(order(bytes / streams));
        return drain(socket, bytes / streams);
      }),
    );
    const ms = performance.now() - from;
    for (const socket of sockets) socket.destroy();
    return ms;
  },
};

async function open(port: number, host: string): Promise<TLSSocket> {
  // The key is not pinned here: that costs a comparison at the handshake, which is not measured.
  const socket = connect({ port, host, rejectUnauthorized: false, minVersion: "TLSv1.3" });
  await once(socket, "secureConnect");
  return socket;
}

export type TlsPart = typeof part;
act(part);
