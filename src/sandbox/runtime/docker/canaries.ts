/**
 * Listeners of our own on this host's own addresses, which no sandbox may reach: a connection that arrives at one proves a
 * hole. Nothing is ever sent to an address that is not this host's.
 */

import { once } from "node:events";
import { createServer, type Server } from "node:net";

/** As many as one probe of the resident takes, with room. */
const MAX_ADDRESSES = 48;

export class Canaries implements AsyncDisposable {
  /** What to dial: `192.168.1.7:41234`. */
  readonly targets: readonly string[];
  readonly #server: Server;
  #arrived = 0;

  /** @param addresses this host's; loopback and addresses of one link are left out, which mean something else inside */
  static async open(addresses: readonly string[], signal: AbortSignal): Promise<Canaries> {
    const server = createServer();
    const useful = addresses.filter((address) => !/^(?:127\.|::1$|fe80:)/u.test(address)).slice(0, MAX_ADDRESSES);
    server.listen({ host: "::", port: 0, ipv6Only: false });
    try {
      await once(server, "listening", { signal });
    } catch (error) {
      server.close();
      if (signal.aborted) throw error;
      server.listen({ host: "0.0.0.0", port: 0 }); // a host without IPv6
      await once(server, "listening", { signal });
    }
    return new Canaries(server, useful);
  }

  private constructor(server: Server, addresses: readonly string[]) {
    const bound = server.address();
    const port = typeof bound === "object" && bound !== null ? bound.port : 0;
    this.#server = server;
    this.targets = addresses.map((host) => (host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`));
    server.on("connection", (socket) => {
      this.#arrived++;
      socket.destroy();
    });
    server.on("error", () => {}); // it hears nobody any more, and says so by what it counts
    server.unref();
  }

  /** Connections from anywhere. */
  get arrived(): number {
    return this.#arrived;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}
