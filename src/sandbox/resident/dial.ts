/** A TCP port of the sandbox's own loopback, as bytes. Nothing else is dialled: the stream is no way around the walls. */

import { connect, type Socket } from "node:net";
import { Refusal } from "./refusal.ts";

/** Loopback answers at once; a listener whose queue is full lets one wait. */
const TIMEOUT_MS = 10_000;

/**
 * @param target `<host>/<port>`
 * @throws {Refusal} bad-argument, unreachable
 */
export async function dial(target: string, signal: AbortSignal): Promise<Socket> {
  const [, host = "", digits = ""] = /^(127\.0\.0\.1|::1)\/(\d{1,5})$/u.exec(target) ?? [];
  const port = Number(digits);
  if (port < 1 || port > 65_535) throw new Refusal("bad-argument", `not a port of the sandbox: "${target}"`);
  const socket = connect({ host, port, allowHalfOpen: true, timeout: TIMEOUT_MS, signal });
  await new Promise<void>((resolve, reject) => {
    socket.once("connect", resolve);
    socket.once("timeout", () => reject(new Refusal("timed-out", `port ${port} of the sandbox does not answer`)));
    socket.once("error", (error: NodeJS.ErrnoException) => reject(unreachable(port, error)));
  }).catch((error: unknown) => {
    socket.destroy();
    throw error;
  });
  socket.setTimeout(0);
  socket.removeAllListeners("timeout");
  return socket;
}

function unreachable(port: number, { code, message }: NodeJS.ErrnoException): Refusal {
  const why = code === "ECONNREFUSED" ? "nothing listens there" : message;
  return new Refusal(
    "unreachable",
    `port ${port} of the sandbox: ${why}`,
    "start what should listen, on 127.0.0.1 or all addresses",
  );
}
