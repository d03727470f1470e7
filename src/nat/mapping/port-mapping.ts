/**
 * Ports of this machine opened on its routers while it lends: asked for at once, looked after, and given back at the end.
 *
 * Each router and each IPv6 address has a keeper of its own. Here is only who is asked, when, and what came of it.
 */

import { type Clock, type Log, type Random, Scope, Topic } from "../../base/index.ts";
import type { Gateway } from "./gateways.ts";
import { keepLeases, type Ports } from "./lease-keeper.ts";
import type { OpenMapper } from "./mapper.ts";
import { type Mapped, type MappingState, unmapped } from "./state.ts";
import { rowAt } from "./udp-rows.ts";

/** What is to be reached from outside. */
export interface Wanted extends Ports {
  /** Whether IPv4 comes in through a router. */
  readonly four: boolean;
  /** IPv6 addresses of this machine. */
  readonly six: readonly string[];
}

export interface PortMappingDeps {
  /** Undefined: nothing listens. */
  readonly wanted: () => Wanted | undefined;
  readonly findGateways: (signal: AbortSignal) => Promise<readonly Gateway[]>;
  /** Best first. */
  readonly openers: readonly OpenMapper[];
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

export interface PortMappingOptions {
  /** Whether routers are asked at all. @default true */
  readonly on?: boolean;
}

/** How long anybody waits for routers before going on without. */
const BUDGET_MS = 2_000;

export class PortMapping {
  readonly changes = new Topic<Mapped>();
  readonly #deps: PortMappingDeps;
  readonly #on: boolean;
  #latest: Mapped;
  #wake = Promise.withResolvers<void>();
  #mustBegin = false;
  #udpBefore: number | undefined;
  /** The routers that are being asked. */
  #asked: readonly Gateway[] | undefined;

  constructor(deps: PortMappingDeps, options: PortMappingOptions = {}) {
    this.#deps = deps;
    this.#on = options.on ?? true;
    this.#latest = this.#on ? unmapped : { ...unmapped, four: { kind: "off" } };
  }

  get latest(): Mapped {
    return this.#latest;
  }

  /** Where the row of UDP ports begins that prefers to begin at `first`: as a router opened it last, also while it is asked anew. */
  udpFrom(first: number): number {
    return rowAt(first, this.#udpBefore);
  }

  /** What is wanted changed, or who is asked may be another one by the same name: begins anew. */
  again(): void {
    this.#mustBegin = true;
    this.#wake.resolve();
  }

  /** The network changed: begins anew if that concerns the routers, so that ports that are open stay so where it does not. */
  moved(): void {
    this.#wake.resolve();
  }

  /** Resolves when the routers have answered, or have had their time. */
  async settled(signal: AbortSignal): Promise<void> {
    const isSettled = () => this.#latest.four.kind !== "asking";
    await using scope = new Scope(signal);
    const { promise, resolve } = Promise.withResolvers<void>();
    using _listening = this.changes.on(() => isSettled() && resolve());
    if (!isSettled()) await Promise.race([promise, this.#deps.clock.sleep(BUDGET_MS, scope.signal)]);
  }

  /** Works until `signal` aborts, and gives back then what routers hold. */
  async run(signal: AbortSignal): Promise<void> {
    if (!this.#on) return;
    while (!signal.aborted) {
      this.#mustBegin = false;
      this.#wake = Promise.withResolvers();
      this.#asked = undefined;
      await using session = new Scope(signal);
      const wanted = this.#deps.wanted();
      this.#set(wanted === undefined ? unmapped : { ...unmapped, four: { kind: "asking" } });
      if (wanted !== undefined) session.spawn((ending) => this.#ask(wanted, session, ending));
      // A defect ends it too.
      session.signal.addEventListener("abort", () => this.#wake.resolve(), { once: true });
      if (session.signal.aborted) return;
      do await this.#wake.promise;
      while (await this.#isStillRight(wanted, session.signal));
    }
  }

  /** Whether the same routers are to be asked for the same, and they do as they are asked. */
  async #isStillRight(wanted: Wanted | undefined, signal: AbortSignal): Promise<boolean> {
    if (signal.aborted) return false;
    this.#wake = Promise.withResolvers(); // for what comes while it looks
    if (wanted === undefined || this.#asked === undefined || this.#latest.four.kind === "failed") return false;
    const isSame = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b);
    if (this.#mustBegin || !isSame(this.#deps.wanted(), wanted)) return false;
    const gateways = await this.#deps.findGateways(signal);
    if (signal.aborted || this.#mustBegin) return false;
    return isSame(gateways, this.#asked) && isSame(this.#deps.wanted(), wanted);
  }

  async #ask(wanted: Wanted, session: Scope, signal: AbortSignal): Promise<void> {
    const gateways = await this.#deps.findGateways(signal);
    if (signal.aborted) return; // what was wanted changed meanwhile, and the next session asks
    this.#asked = gateways;
    const { four, six, ...ports } = wanted;
    const fours = four ? gateways.filter(({ family }) => family === 4) : [];
    const states = new Map<Gateway, MappingState>(fours.map((gateway) => [gateway, { kind: "asking" }]));
    const combine = () => this.#set({ ...this.#latest, four: best([...states.values()], four) });
    combine();
    for (const gateway of fours) {
      const report = (state: MappingState) => {
        states.set(gateway, state);
        combine();
      };
      session.spawn((ending) => this.#keep({ gateway, own: gateway.own[0] ?? "", report }, ports, ending));
    }
    for (const own of six) {
      const gateway = gateways.find((each) => each.family === 6 && each.own.includes(own));
      const report = ({ kind }: MappingState) => this.#setPinhole(own, kind === "mapped");
      if (gateway !== undefined)
        session.spawn((ending) => this.#keep({ gateway, own, report }, { ...ports, udp: [] }, ending));
    }
  }

  #keep(
    where: { readonly gateway: Gateway; readonly own: string; readonly report: (state: MappingState) => void },
    ports: Ports,
    signal: AbortSignal,
  ): Promise<void> {
    return keepLeases({ ...this.#deps, ...where, udpBefore: () => this.#udpBefore }, ports, signal);
  }

  #setPinhole(own: string, isOpen: boolean): void {
    const { pinholes } = this.#latest;
    if (pinholes.includes(own) === isOpen) return;
    this.#set({ ...this.#latest, pinholes: isOpen ? [...pinholes, own] : pinholes.filter((each) => each !== own) });
  }

  #set(latest: Mapped): void {
    if (JSON.stringify(latest) === JSON.stringify(this.#latest)) return;
    this.#latest = latest;
    if (latest.four.kind === "mapped") this.#udpBefore = latest.four.ports.udp ?? this.#udpBefore;
    this.changes.publish(latest);
  }
}

/** One router that did it is enough; what the first one says stands for the others. */
function best(states: readonly MappingState[], isWanted: boolean): MappingState {
  if (!isWanted) return { kind: "idle" };
  const mapped = states.find(({ kind }) => kind === "mapped") ?? states.find(({ kind }) => kind === "asking");
  return mapped ?? states[0] ?? { kind: "failed", why: "this machine has no router", isRefusal: false };
}
