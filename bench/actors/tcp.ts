/** Both ends of a plain TCP service on loopback: what is behind a forwarded port, and who uses it. */

import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { act } from "../support/actor.ts";
import { drain, fill, order } from "../support/octets.ts";

const part = {
  async serve(): Promise<number> {
    const server = createServer(fill);
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return (server.address() as AddressInfo).port;
  },

  /** @returns milliseconds from the first order to the last byte */
  async pull({ port, streams, bytes }: { port: number; streams: number; bytes: number }): Promise<number> {
    const sockets = await Promise.all(Array.from({ length: streams }, () => open(port)));
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

async function open(port: number): Promise<Socket> {
  const socket = connect(port, "127.0.0.1");
  await once(socket, "connect");
  return socket;
}

export type TcpPart = typeof part;
act(part);
