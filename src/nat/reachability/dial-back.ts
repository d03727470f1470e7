/**
 * Dialling back on request: whether who asks can be reached where this node sees him.
 *
 * Only the observed address is dialled, never one that was named, with a fresh connection that expects the asker's own
 * key and is closed at once. What is dialled may also be gossiped: no ports of the system, no places that are not public.
 */

import { isIPv4 } from "node:net";
import { type Clock, type Random, randomBelow, within } from "../../base/index.ts";
import { type AllowedNetworks, Failure, mayDialGossiped, type NodeId } from "../../core/index.ts";
import type { Carrier } from "../../network/index.ts";
import type { CheckReply, CheckRequest, Dialled } from "./contract.ts";
import { CheckRation } from "./check-ration.ts";
import { knockUdp } from "./udp-knock.ts";

/** From SYN to a proven key. Two round trips: who needs longer is no use as a neighbour. */
const DIAL_MS = 3_000;

export interface DialBackDeps {
  readonly carrier: Pick<Carrier, "dial">;
  readonly allowed: AllowedNetworks;
  readonly clock: Clock;
  readonly random: Random;
}

export interface Asker {
  readonly id: NodeId;
  /** As this node sees it: `192.0.2.7:50123`. */
  readonly remote: string;
}

export class DialBack {
  readonly #deps: DialBackDeps;
  readonly #ration: CheckRation;

  constructor(deps: DialBackDeps) {
    this.#deps = deps;
    this.#ration = new CheckRation(deps.clock);
  }

  /** @throws {Failure} too-often, busy; not-supported: where he is says nothing about how he is reached */
  async check({ id, remote }: Asker, { tcp, udp }: CheckRequest, signal: AbortSignal): Promise<CheckReply> {
    const host = hostOf(remote);
    if (host === undefined || !mayDialGossiped({ host, port: tcp }, this.#deps.allowed)) throw noPlace(remote, tcp);
    using _running = this.#ration.begin(id, host, tcp);
    const knocks = udp !== undefined && isIPv4(host) && mayDialGossiped({ host, port: udp }, this.#deps.allowed);
    const [dialled, knocked] = await Promise.all([
      this.#timed((attempt) => this.#dial({ host, port: tcp, id }, attempt), signal),
      knocks ? this.#timed((attempt) => this.#knock({ host, port: udp }, attempt), signal) : undefined,
    ]);
    return { observed: host, tcp: dialled, ...(knocked === undefined ? {} : { udp: knocked }) };
  }

  async #dial(
    { host, port, id }: { readonly host: string; readonly port: number; readonly id: NodeId },
    signal: AbortSignal,
  ): Promise<Dialled["outcome"]> {
    const { clock, carrier } = this.#deps;
    const late = () => new Failure("timed-out", "no answer");
    try {
      const pipe = await within(
        { clock, timeoutMs: DIAL_MS, late },
        (attempt) => carrier.dial({ endpoint: { host, port }, expect: id, asks: true }, attempt),
        signal,
      );
      pipe.duplex.destroy();
      return "open";
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      return outcomeOf(error);
    }
  }

  async #knock(endpoint: { readonly host: string; readonly port: number }, signal: AbortSignal) {
    const { clock, random } = this.#deps;
    const nonce = randomBelow(random, 65_536);
    return (await knockUdp(endpoint, { clock, nonce }, signal)) ? "open" : "silent";
  }

  async #timed(work: (signal: AbortSignal) => Promise<Dialled["outcome"]>, signal: AbortSignal): Promise<Dialled> {
    const startedAt = this.#deps.clock.now();
    const outcome = await work(signal);
    return { outcome, ms: this.#deps.clock.now() - startedAt };
  }
}

/** What the kernel says before anybody answered. */
const SILENT = new Set(["ETIMEDOUT", "EHOSTUNREACH", "ENETUNREACH", "EADDRNOTAVAIL"]);

function outcomeOf({ code, cause }: Failure): Dialled["outcome"] {
  const errno = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  if (errno === "ECONNREFUSED") return "refused";
  return code === "timed-out" || SILENT.has(errno) ? "silent" : "stranger";
}

/** Undefined: he came by a path that has no address, as through a relay. */
function hostOf(remote: string): string | undefined {
  const [, inner, outer] = /^(?:\[([^\]]*)\]|(.*)):\d+$/.exec(remote) ?? [];
  return inner ?? outer;
}

function noPlace(remote: string, port: number): Failure {
  return new Failure("not-supported", `this node does not dial back to port ${port} of ${remote.slice(0, 64)}`, {
    hint: "only public addresses and ports from 1024 on are dialled",
  });
}
