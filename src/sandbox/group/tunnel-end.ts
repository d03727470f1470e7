/** One member of a tunnel: its gate, opened again whenever it is lost, until the sandbox is no more. */

import { Type } from "typebox";
import { Compile } from "typebox/compile";
import { type Clock, isAbort, type Log } from "../../base/index.ts";
import { Failure } from "../../core/index.ts";
import type { GateLink } from "./gate-link.ts";
import { encodePiece, type Piece, type Plan, type Report } from "./inside/strands.ts";
import type { Switchboard } from "./switchboard.ts";
import type { TunnelSeat } from "./tunnel-book.ts";

export interface TunnelEndDeps {
  readonly open: (signal: AbortSignal) => Promise<GateLink>;
  readonly switchboard: Switchboard;
  /** What its gate is to do now. */
  readonly plan: () => Plan;
  readonly clock: Clock;
  readonly log: Log;
}

export type TunnelEndState =
  | { readonly kind: "joining" | "joined" | "ended" }
  | { readonly kind: "away"; readonly why: Failure };

/** Most are back soon. */
const AGAIN_MS = 1_000;
const MAX_AGAIN_MS = 30_000;
const FAREWELL_MS = 2_000;
const NO_REPORT: Report = { plan: 0, names: false, taken: [], takenCount: 0 };
const MAX_TAKEN = 32;

export class TunnelEnd {
  readonly seat: TunnelSeat;
  readonly #deps: TunnelEndDeps;
  readonly #watchers = new Set<() => void>();
  #state: TunnelEndState = { kind: "joining" };
  #report = NO_REPORT;
  #gate: GateLink | undefined;

  constructor(seat: TunnelSeat, deps: TunnelEndDeps) {
    this.seat = seat;
    this.#deps = deps;
  }

  get state(): TunnelEndState {
    return this.#state;
  }

  /** As it said last. */
  get report(): Report {
    return this.#report;
  }

  /** Keeps its gate open until `signal` aborts, or the sandbox is no more. */
  async run(signal: AbortSignal): Promise<void> {
    for (let pauseMs = AGAIN_MS; !signal.aborted && this.#state.kind !== "ended"; ) {
      try {
        await using gate = await this.#deps.open(signal);
        pauseMs = AGAIN_MS;
        await this.#serve(gate, signal);
      } catch (error) {
        if (isAbort(error, signal)) return;
        if (!(error instanceof Failure)) throw error;
        if (this.#state.kind !== "away")
          this.#deps.log.info("a sandbox is away from its tunnel", { sandbox: this.seat.name, why: error.message });
        this.#become(error.code === "not-found" ? { kind: "ended" } : { kind: "away", why: error });
      }
      await this.#deps.clock.sleep(pauseMs, signal).catch(() => undefined); // it aborted
      pauseMs = Math.min(pauseMs * 2, MAX_AGAIN_MS);
    }
  }

  /** Tells the gate of what has changed. */
  replan(): void {
    this.#gate?.say(encodePiece("plan", 0, JSON.stringify(this.#deps.plan())));
  }

  /** Resolves when it does what that plan says, or is not there to do it. */
  async follows(plan: number, signal: AbortSignal): Promise<void> {
    const isPending = () =>
      this.#state.kind === "joining" || (this.#state.kind === "joined" && this.#report.plan < plan);
    while (isPending()) {
      signal.throwIfAborted();
      await new Promise<void>((resolve) => {
        signal.addEventListener("abort", () => resolve(), { once: true });
        this.#watchers.add(resolve);
      });
    }
  }

  /** Has it leave no traces, as far as it is there to do so. */
  async farewell(plan: Plan): Promise<void> {
    if (this.#state.kind !== "joined") return;
    this.#gate?.say(encodePiece("plan", 0, JSON.stringify({ ...plan, neighbours: [] })));
    const done = new AbortController();
    const enough = this.#deps.clock.sleep(FAREWELL_MS, done.signal).catch(() => undefined); // it was quicker
    await Promise.race([this.follows(plan.number, done.signal), enough]).catch(() => undefined); // it was not
    done.abort();
  }

  /** Resolves when the signal aborts. @throws {Failure} why the gate is gone */
  async #serve(gate: GateLink, signal: AbortSignal): Promise<void> {
    const { switchboard, log } = this.#deps;
    const { place, name } = this.seat;
    switchboard.join(place, (piece) => gate.say(piece));
    gate.listen((piece) => (piece.kind === "report" ? this.#hear(piece) : switchboard.take(place, piece)));
    this.#gate = gate;
    this.#report = NO_REPORT;
    this.replan();
    this.#become({ kind: "joined" });
    log.debug("a sandbox is in its tunnel", { sandbox: name });
    const aborted = new Promise<undefined>((resolve) => {
      signal.addEventListener("abort", () => resolve(undefined), { once: true });
    });
    const why = await Promise.race([gate.ended, aborted]);
    this.#gate = undefined;
    switchboard.leave(place);
    if (why !== undefined && !signal.aborted) throw why;
  }

  #hear({ content }: Piece): void {
    this.#report = parseReport(content.toString("utf8"));
    this.#wake();
  }

  #become(state: TunnelEndState): void {
    this.#state = state;
    this.#wake();
  }

  #wake(): void {
    for (const watcher of this.#watchers) watcher();
    this.#watchers.clear();
  }
}

const Integer = Type.Integer();
const isReport = Compile(
  Type.Object({
    plan: Integer,
    names: Type.Boolean(),
    taken: Type.Array(Type.Object({ place: Integer, port: Integer, why: Type.String() })),
    takenCount: Integer,
  }),
);

/** A stranger's. @throws {RangeError, SyntaxError} */
function parseReport(text: string): Report {
  const said: unknown = JSON.parse(text);
  if (!isReport.Check(said)) throw new RangeError("not a report");
  const taken = said.taken.slice(0, MAX_TAKEN);
  return { ...said, taken: taken.map((one) => ({ ...one, why: one.why.replace(/[^A-Z]/gu, "").slice(0, 20) })) };
}
