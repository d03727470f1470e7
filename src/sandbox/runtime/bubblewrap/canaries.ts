/**
 * Listeners on this machine's own addresses that nobody may reach from inside a sandbox: one that does has shown that the
 * walls are open. They are there for as long as one look takes.
 */

import { once } from "node:events";
import { createServer, isIPv6, type Server } from "node:net";

/** A machine with more addresses than that is a router, and its rules name them all. */
const MAX_CANARIES = 32;

export class Canaries implements AsyncDisposable {
  /** `host:port` of each, as the resident's probe takes them. */
  readonly addresses: readonly string[];
  readonly #servers: readonly Server[];
  readonly #touched: Set<string>;

  /** @param hosts addresses of this machine; those that cannot be listened on are left out */
  static async open(hosts: readonly string[]): Promise<Canaries> {
    const touched = new Set<string>();
    const opened = await Promise.all(hosts.slice(0, MAX_CANARIES).map((host) => openOne(host, touched)));
    return new Canaries(opened.flat(), touched);
  }

  private constructor(opened: readonly Opened[], touched: Set<string>) {
    this.addresses = opened.map(({ address }) => address);
    this.#servers = opened.map(({ server }) => server);
    this.#touched = touched;
  }

  /** Those that somebody reached. */
  get touched(): readonly string[] {
    return [...this.#touched];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#servers.map((server) => new Promise((resolve) => server.close(resolve))));
  }
}

interface Opened {
  readonly server: Server;
  readonly address: string;
}

async function openOne(host: string, touched: Set<string>): Promise<readonly Opened[]> {
  const server = createServer();
  try {
    server.listen({ host, port: 0, exclusive: true });
    await once(server, "listening");
  } catch {
    return []; // the address went away meanwhile, or is not ready yet
  }
  const at = server.address();
  if (at === null || typeof at === "string") return [];
  const address = `${isIPv6(host) ? `[${host}]` : host}:${at.port}`;
  server.on("connection", (socket) => {
    touched.add(address);
    socket.destroy();
  });
  return [{ server, address }];
}
