/**
 * Questions to port 5351 of a router, which PCP and NAT-PMP share: small packets, sent again until one comes back.
 *
 * The socket is connected, so that the kernel drops what anybody else sends.
 */

import { createSocket, type Socket } from "node:dgram";
import { isIPv6 } from "node:net";
import { type Clock, within } from "../../base/index.ts";
import { Failure } from "../../core/index.ts";

const PORT = 5351;
/** RFC 6886 section 3.1: at first after 250 ms, then twice as long each time. */
const FIRST_MS = 250;
/** Longer than any router on the LAN takes, unless it does not answer at all. */
const TIMEOUT_MS = 1_000;
/** RFC 6887 section 7. */
const MAX_BYTES = 1_100;

export class GatewaySocket implements AsyncDisposable {
  readonly #socket: Socket;
  readonly #clock: Clock;
  #hear: (packet: Buffer) => void = () => {};
  #closed = false;

  /** @throws {Failure} unreachable */
  static async open(
    { gateway, own }: { readonly gateway: string; readonly own: string },
    clock: Clock,
    signal: AbortSignal,
  ): Promise<GatewaySocket> {
    signal.throwIfAborted();
    const socket = createSocket(isIPv6(own) ? "udp6" : "udp4");
    try {
      await new Promise<void>((resolve, reject) => {
        socket.once("error", reject);
        const connected = (error?: Error) => (error === undefined || error === null ? resolve() : reject(error));
        socket.bind(0, own, () => socket.connect(PORT, gateway, connected));
      });
    } catch (cause) {
      socket.close();
      throw new Failure("unreachable", "this machine cannot send to its router", { cause });
    }
    return new GatewaySocket(socket, clock);
  }

  private constructor(socket: Socket, clock: Clock) {
    this.#socket = socket;
    this.#clock = clock;
    socket.removeAllListeners("error");
    socket.on("error", () => {}); // refused: nothing listens there, and the answer does not come
    socket.on("message", (packet) => packet.length <= MAX_BYTES && this.#hear(packet));
  }

  /** @param isAnswer whether a packet is what was asked for @throws {Failure} unreachable */
  async ask(request: Buffer, isAnswer: (packet: Buffer) => boolean, signal: AbortSignal): Promise<Buffer> {
    const late = () => new Failure("unreachable", "the router does not answer");
    return await within(
      { clock: this.#clock, timeoutMs: TIMEOUT_MS, late },
      (asking) => this.#ask(request, isAnswer, asking),
      signal,
    );
  }

  async #ask(request: Buffer, isAnswer: (packet: Buffer) => boolean, signal: AbortSignal): Promise<Buffer> {
    const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
    this.#hear = (packet) => isAnswer(packet) && resolve(packet);
    const sending = (async () => {
      for (let wait = FIRST_MS; !signal.aborted; wait *= 2) {
        if (!this.#closed) this.#socket.send(request);
        await this.#clock.sleep(wait, signal);
      }
    })().catch(reject); // aborted: so is whoever asked
    const answer = await promise;
    void sending;
    this.#hear = () => {};
    return answer;
  }

  [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return Promise.resolve();
    this.#closed = true;
    return new Promise((resolve) => this.#socket.close(() => resolve()));
  }
}
