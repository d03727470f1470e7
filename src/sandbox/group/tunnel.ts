/** The tunnel of one group while a daemon runs: an end for each member, and the switchboard between them. */

import { Scope } from "../../base/index.ts";
import type { Failure } from "../../core/index.ts";
import type { SandboxId } from "../runtime/sandbox-id.ts";
import type { GroupTunnel, TunnelMember } from "./tunnel-contract.ts";
import type { Plan, Report } from "./inside/strands.ts";
import type { TunnelRow, TunnelSeat } from "./tunnel-book.ts";
import { TunnelEnd, type TunnelEndDeps } from "./tunnel-end.ts";
import type { GateLink } from "./gate-link.ts";
import { Switchboard, type SwitchboardOptions, type Traffic } from "./switchboard.ts";

export interface TunnelDeps extends Pick<TunnelEndDeps, "clock" | "log"> {
  readonly openGate: (box: SandboxId, signal: AbortSignal) => Promise<GateLink>;
}

interface Running {
  readonly end: TunnelEnd;
  readonly scope: Scope;
}

export class Tunnel implements AsyncDisposable {
  readonly #deps: TunnelDeps;
  readonly #switchboard: Switchboard;
  readonly #running = new Map<SandboxId, Running>();
  #row: TunnelRow;
  #plan = 1;

  constructor(row: TunnelRow, deps: TunnelDeps, options: SwitchboardOptions = {}) {
    this.#row = row;
    this.#deps = deps;
    const carries = ({ place, port }: { readonly place: number; readonly port: number }) => {
      const seat = this.#row.members.find((member) => member.place === place);
      return seat !== undefined && portsOf(this.#row, seat).includes(port);
    };
    this.#switchboard = new Switchboard({ carries }, options);
    for (const seat of row.members) this.#begin(seat);
  }

  /** Lets go of who is not in it any more, and takes in who is new. */
  async change(row: TunnelRow): Promise<void> {
    const kept = new Map(row.members.map(({ id, place }) => [id, place]));
    const gone = [...this.#running].filter(([id, { end }]) => kept.get(id) !== end.seat.place);
    this.#row = row;
    this.#plan++;
    await Promise.all(gone.map(([id]) => this.#drop(id)));
    for (const seat of row.members) if (!this.#running.has(seat.id)) this.#begin(seat);
    for (const { end } of this.#running.values()) end.replan();
  }

  /**
   * Resolves when every member does what was asked for last, or is away.
   * @returns those that are, and why
   */
  async settled(signal: AbortSignal): Promise<readonly { readonly seat: TunnelSeat; readonly why: Failure }[]> {
    const plan = this.#plan;
    await Promise.all(Array.from(this.#running.values(), ({ end }) => end.follows(plan, signal)));
    return [...this.#running.values()].flatMap(({ end: { seat, state } }) =>
      state.kind === "away" ? [{ seat, why: state.why }] : [],
    );
  }

  show(group: string): GroupTunnel {
    const { traffic, connections } = this.#switchboard;
    const ends = Array.from(this.#running.values(), ({ end }) => end).toSorted((a, b) => a.seat.place - b.seat.place);
    return { group, members: ends.map((end) => this.#shown(end, traffic)), ...connections };
  }

  /** Each gate is asked to leave no traces first. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(Array.from(this.#running.keys(), (id) => this.#drop(id)));
  }

  #begin(seat: TunnelSeat): void {
    const { openGate, clock, log } = this.#deps;
    const end = new TunnelEnd(seat, {
      open: (signal) => openGate(seat.id, signal),
      switchboard: this.#switchboard,
      plan: () => this.#planFor(seat),
      clock,
      log,
    });
    const scope = new Scope();
    this.#running.set(seat.id, { end, scope });
    scope.spawn((signal) => end.run(signal));
  }

  async #drop(id: SandboxId): Promise<void> {
    const running = this.#running.get(id);
    if (running === undefined) return;
    this.#running.delete(id);
    this.#plan++;
    await running.end.farewell(this.#planFor(running.end.seat));
    await running.scope.close();
  }

  #planFor(seat: TunnelSeat): Plan {
    const { id, members } = this.#row;
    const all = members.flatMap((member) => portsOf(this.#row, member));
    const shared = new Set(all.filter((port, at) => all.indexOf(port) !== at));
    return {
      number: this.#plan,
      mark: id,
      own: { address: this.#address(seat.place), name: seat.name },
      neighbours: members
        .filter((member) => member.id !== seat.id)
        .map((member) => ({
          place: member.place,
          address: this.#address(member.place),
          name: member.name,
          ports: portsOf(this.#row, member),
          alone: portsOf(this.#row, member).filter((port) => !shared.has(port)),
        })),
    };
  }

  #address(place: number): string {
    return `127.77.${this.#row.place}.${place}`;
  }

  #shown({ seat, state, report }: TunnelEnd, traffic: readonly Traffic[]): TunnelMember {
    const { id, name, place } = seat;
    const counts = new Map(traffic.filter((each) => each.place === place).map((each) => [each.port, each]));
    const ports = portsOf(this.#row, seat).map((port) => {
      const { open = 0, total = 0, bytes = 0 } = counts.get(port) ?? {};
      return { port, open, total, bytes };
    });
    const isJoined = state.kind === "joined";
    return {
      id,
      name,
      address: this.#address(place),
      state: state.kind,
      ...(state.kind === "away" ? { why: state.why.message } : {}),
      names: isJoined && report.names,
      taken: isJoined ? report.taken.map((one) => this.#takenWords(one)) : [],
      ports,
    };
  }

  #takenWords({ place, port, why }: Report["taken"][number]): string {
    return `${this.#address(place)}:${port} ${why}`;
  }
}

/** What others may connect to at this member, each once, in order. */
export function portsOf({ ports }: Pick<TunnelRow, "ports">, { id }: Pick<TunnelSeat, "id">): readonly number[] {
  const all = ports
    .filter(({ box }) => box === undefined || box === id)
    .flatMap(({ first, last }) => Array.from({ length: last - first + 1 }, (_, index) => first + index));
  return [...new Set(all)].toSorted((a, b) => a - b);
}
