/**
 * An internet in memory: machines with addresses, on which nodes listen and dial.
 *
 * Its carrier passes the same conformance suite as TLS over TCP. A machine can go silent (nothing
 * comes back, as after a power cut) or refuse.
 */

import { Duplex } from "node:stream";
import type { Endpoint, NodeId } from "../../../src/core/index.ts";
import { Failure, formatEndpoint } from "../../../src/core/index.ts";
import type { Carrier, DialRequest, Listener, ListenOptions, Pipe } from "../../../src/network/index.ts";

interface Service {
  readonly id: NodeId;
  readonly accept: (pipe: Pipe) => void;
}

export class MemoryInternet {
  readonly #services = new Map<string, Service>();
  readonly #silent = new Set<string>();
  #nextPort = 40_000;

  /** From now on nothing that is sent to `host` gets there, and nothing comes from it. */
  silence(host: string): void {
    this.#silent.add(host);
  }

  restore(host: string): void {
    this.#silent.delete(host);
  }

  carrier(id: NodeId, host: string): Carrier {
    return {
      dial: (request, signal) => this.#dial(id, host, { request, signal }),
      listen: (onPipe, options, signal) => this.#listen({ id, accept: onPipe }, [host], { options, signal }),
    };
  }

  async #dial(
    from: NodeId,
    fromHost: string,
    { request, signal }: { request: DialRequest; signal: AbortSignal },
  ): Promise<Pipe> {
    signal.throwIfAborted();
    await new Promise((resolve) => setImmediate(resolve));
    const { endpoint, expect, asks } = request;
    if (this.#silent.has(endpoint.host) || this.#silent.has(fromHost)) await untilAborted(signal);
    signal.throwIfAborted();
    const service = this.#services.get(formatEndpoint(endpoint));
    if (service === undefined) throw new Failure("unreachable", "refused: nothing listens there");
    if (expect !== undefined && service.id !== expect) throw new Failure("wrong-key", "another node answers there");
    const [here, there] = this.#wire(fromHost, endpoint.host);
    const remote = formatEndpoint({ host: fromHost, port: this.#nextPort++ });
    service.accept(pipe(there, { peer: from, remote, asks: !asks }));
    return pipe(here, { peer: service.id, remote: formatEndpoint(endpoint), asks });
  }

  async #listen(
    service: Service,
    defaults: readonly string[],
    { options, signal }: { options: ListenOptions; signal: AbortSignal },
  ): Promise<Listener> {
    signal.throwIfAborted();
    const port = options.port === 0 ? this.#nextPort++ : options.port;
    const endpoints: Endpoint[] = (options.hosts ?? defaults).map((host) => ({ host, port }));
    const keys = endpoints.map(formatEndpoint);
    const taken = keys.find((key) => this.#services.has(key));
    if (taken !== undefined) throw new Failure("port-in-use", `port ${port} is taken`);
    const open = new Set<Duplex>();
    const accept = (incoming: Pipe) => {
      open.add(incoming.duplex);
      incoming.duplex.once("close", () => open.delete(incoming.duplex));
      service.accept(incoming);
    };
    for (const key of keys) this.#services.set(key, { id: service.id, accept });
    return {
      endpoints,
      [Symbol.asyncDispose]: async () => {
        for (const key of keys) this.#services.delete(key);
        for (const duplex of open) duplex.destroy();
      },
    };
  }

  /** Two ends of a wire through which nothing passes while either machine is silent. */
  #wire(a: string, b: string): [WireEnd, WireEnd] {
    const cut = () => this.#silent.has(a) || this.#silent.has(b);
    const [left, right] = [new WireEnd(cut), new WireEnd(cut)];
    left.peer = right;
    right.peer = left;
    return [left, right];
  }
}

/** One end of a wire. (Node's own duplexPair stalls under http2 when its buffers fill.) */
class WireEnd extends Duplex {
  readonly #cut: () => boolean;
  peer: WireEnd | undefined;
  bytesRead = 0;
  #readerWants: (() => void) | undefined;

  constructor(cut: () => boolean) {
    super();
    this.#cut = cut;
    this.on("error", () => {});
  }

  receive(chunk: Buffer | null, taken: () => void): void {
    this.bytesRead += chunk?.length ?? 0;
    if (this.destroyed || this.push(chunk) || chunk === null) taken();
    else this.#readerWants = taken;
  }

  override _read(): void {
    const taken = this.#readerWants;
    this.#readerWants = undefined;
    taken?.();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    setImmediate(() => (this.#cut() ? done() : this.peer?.receive(chunk, done)));
  }

  override _final(done: () => void): void {
    setImmediate(() => (this.#cut() ? done() : this.peer?.receive(null, done)));
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    if (!this.#cut()) setImmediate(() => this.peer?.destroy());
    done(error);
  }
}

function pipe(duplex: WireEnd, { peer, remote, asks }: { peer: NodeId; remote: string; asks: boolean }): Pipe {
  return { duplex, peer, path: { kind: "memory", remote }, asks, http: "h2", bytesRead: () => duplex.bytesRead };
}

function untilAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason as Error);
    signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
  });
}
