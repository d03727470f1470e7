/**
 * The one way out of a plugin that is confined: a Unix socket, on which the id of a sandbox opens a stream to its SSH server.
 * Only the sandboxes that the plugin was started for have one; nothing else of the daemon is behind it.
 */

import { chmod } from "node:fs/promises";
import { createServer, type Server, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { splice } from "../base/index.ts";

export interface GateDeps {
  readonly path: string;
  /** Ids of sandboxes. */
  readonly targets: ReadonlySet<string>;
  readonly open: (target: string, signal: AbortSignal) => Promise<Duplex>;
  /** At once. @default 512 */
  readonly maxStreams?: number;
}

/** `<16 letters>.p2prc` and the end of the line. */
const MAX_WORD_BYTES = 64;

export class Gate implements AsyncDisposable {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #ended = new AbortController();

  static async open(deps: GateDeps): Promise<Gate> {
    const gate = new Gate(deps);
    await new Promise<void>((resolve, reject) => {
      gate.#server.once("error", reject);
      gate.#server.listen(deps.path, resolve);
    });
    await chmod(deps.path, 0o666); // its folder is what keeps others away
    return gate;
  }

  private constructor(deps: GateDeps) {
    const { maxStreams = 512 } = deps;
    this.#server = createServer((socket) => {
      socket.on("error", () => undefined);
      if (this.#sockets.size >= maxStreams) {
        socket.destroy();
        return;
      }
      this.#sockets.add(socket);
      socket.once("close", () => this.#sockets.delete(socket));
      void this.#pass(socket, deps);
    });
  }

  async #pass(socket: Socket, { targets, open }: GateDeps): Promise<void> {
    const word = await firstLine(socket);
    const target = word?.replace(/\.p2prc$/u, "");
    if (target === undefined || !targets.has(target)) return void socket.destroy();
    try {
      void splice(socket, await open(target, this.#ended.signal));
    } catch {
      socket.destroy(); // ssh says that it was cut off; why, the daemon's log says
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended.abort();
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}

/** What follows stays in the socket. Undefined: there is none. */
async function firstLine(socket: Socket): Promise<string | undefined> {
  return await new Promise((resolve) => {
    let head = Buffer.alloc(0);
    const read = () => {
      for (let chunk = socket.read() as Buffer | null; chunk !== null; chunk = socket.read() as Buffer | null) {
        head = Buffer.concat([head, chunk]);
      }
      const end = head.indexOf(10);
      if (end < 0 && head.length <= MAX_WORD_BYTES) return;
      socket.off("readable", read).off("close", gone);
      if (end >= 0 && end < head.length - 1) socket.unshift(head.subarray(end + 1));
      resolve(end < 0 ? undefined : head.subarray(0, end).toString("latin1"));
    };
    const gone = () => resolve(undefined);
    socket.on("readable", read).once("close", gone);
  });
}

/** For ssh's ProxyCommand, inside: the id goes first, then bytes both ways. */
export const GATE_SOURCE = `
import os, socket, sys, threading

gate = socket.socket(socket.AF_UNIX)
gate.connect(sys.argv[1])
gate.sendall(sys.argv[2].encode() + b"\\n")

def send():
    while True:
        data = os.read(0, 65536)
        if not data:
            break
        gate.sendall(data)
    gate.shutdown(socket.SHUT_WR)

threading.Thread(target=send, daemon=True).start()
while True:
    data = gate.recv(65536)
    if not data:
        break
    while data:
        data = data[os.write(1, data):]
`;
