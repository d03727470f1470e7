/**
 * The tunnels of the groups of this person: made when asked for, made again by the next daemon, ended with their group.
 *
 * They are the one way from a sandbox to another, and lead to none but the same guest's. Its owners are asked for an exec and a port,
 * so whoever may not have those has no part in it.
 */

import type { DatabaseSync } from "node:sqlite";
import type { Duplex } from "node:stream";
import type { Clock, Log, Random } from "../../base/index.ts";
import { cleanText, Failure, insideProgram } from "../../core/index.ts";
import type { StreamWish } from "../ask.ts";
import type { SandboxId } from "../runtime/sandbox-id.ts";
import type { Group } from "./contract.ts";
import { GateLink } from "./gate-link.ts";
import type { Groups } from "./groups.ts";
import type { SwitchboardOptions } from "./switchboard.ts";
import { type PortRange, TunnelBook, type TunnelRow, type TunnelSeat } from "./tunnel-book.ts";
import { type GroupTunnel, MAX_TUNNEL_MEMBERS, MAX_TUNNEL_PORTS, type TunnelPorts } from "./tunnel-contract.ts";
import { portsOf, Tunnel } from "./tunnel.ts";

export interface GroupTunnelsDeps {
  readonly database: DatabaseSync;
  readonly groups: Pick<Groups, "show" | "changes">;
  /** A stream into a sandbox. @throws {Failure} */
  readonly connect: (box: SandboxId, wish: StreamWish, signal: AbortSignal) => Promise<Duplex>;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** What passes: then the member is told of as away, and joins later. What else its node says is a refusal. */
const PASSING: ReadonlySet<string> = new Set(["unreachable", "link-lost", "timed-out"]);

export class GroupTunnels implements AsyncDisposable {
  readonly #deps: GroupTunnelsDeps;
  readonly #options: SwitchboardOptions;
  readonly #book: TunnelBook;
  readonly #tunnels = new Map<string, Tunnel>();
  readonly #listening: Disposable;
  /** Read once, and not before it is needed. */
  #argv: Promise<readonly string[]> | undefined;
  /** One change at a time. */
  #last: Promise<unknown> = Promise.resolve();

  /** Reads the book. @throws {Failure} version-differs, disk-full */
  constructor(deps: GroupTunnelsDeps, options: SwitchboardOptions = {}) {
    this.#deps = deps;
    this.#options = options;
    this.#book = new TunnelBook(deps.database);
    this.#listening = deps.groups.changes.on(({ id, members }) => {
      void this.#inTurn(() => this.#follow(id, members)).catch((error: unknown) => {
        deps.log.error("a tunnel did not follow its group", { error });
      });
    });
  }

  /** Makes again those that were there when the last daemon ended, and keeps them until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    await this.#inTurn(async () => {
      for (const row of this.#book.all) if (!this.#tunnels.has(row.id)) this.#open(row);
    });
    if (!signal.aborted) await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
  }

  /**
   * Adds to what is carried, and takes in who has come to the group since. Resolves when what can be carried is.
   * @throws {Failure} not-found, ambiguous, bad-argument, too-large; what an owner refuses, and then nothing has changed
   */
  async open(text: string, ports: readonly TunnelPorts[], signal: AbortSignal): Promise<GroupTunnel> {
    const group = this.#deps.groups.show(text, { exact: false });
    return await this.#inTurn(async () => {
      const before = this.#book.get(group.id);
      const row = this.#rowFor(group, ports, before);
      const tunnel = this.#tunnels.get(group.id);
      const now = tunnel ?? this.#open(row);
      await tunnel?.change(row);
      try {
        const away = await now.settled(signal);
        const refused = away.find(({ why }) => !PASSING.has(why.code));
        if (refused !== undefined) throw refusal(refused);
        this.#book.save(row);
      } catch (error) {
        if (before === undefined) await this.#close(group.id);
        else await now.change(before);
        throw error;
      }
      return now.show(group.name);
    });
  }

  /** @throws {Failure} not-found, ambiguous */
  show(text: string): GroupTunnel {
    const { id, name } = this.#deps.groups.show(text, { exact: false });
    return this.#find(id, name).show(name);
  }

  /** What is open breaks. @returns what it was @throws {Failure} not-found, ambiguous */
  async stop(text: string): Promise<GroupTunnel> {
    const { id, name } = this.#deps.groups.show(text, { exact: false });
    return await this.#inTurn(async () => {
      const shown = this.#find(id, name).show(name);
      await this.#end(id);
      return shown;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listening[Symbol.dispose]();
    await this.#inTurn(async () => {
      await Promise.all(Array.from(this.#tunnels.keys(), (id) => this.#close(id)));
    });
  }

  /** @param members undefined: the group is no more */
  async #follow(id: string, members: readonly { readonly id: SandboxId }[] | undefined): Promise<void> {
    const row = this.#book.get(id);
    if (row === undefined) return;
    if (members === undefined) return await this.#end(id);
    const there = new Set(members.map((member) => member.id));
    const kept = row.members.filter((seat) => there.has(seat.id));
    if (kept.length === row.members.length) return;
    const next = { ...row, members: kept };
    this.#book.save(next);
    await this.#tunnels.get(id)?.change(next);
  }

  /** @throws {Failure} bad-argument, too-large */
  #rowFor(group: Group, ports: readonly TunnelPorts[], before: TunnelRow | undefined): TunnelRow {
    const row = {
      id: group.id,
      place: before?.place ?? this.#book.freePlace(),
      ports: [...(before?.ports ?? []), ...ports.map((each) => rangeOf(each, group))],
      members: seatsOf(group, before?.members ?? []),
    };
    const most = Math.max(...row.members.map((seat) => portsOf(row, seat).length));
    if (most > MAX_TUNNEL_PORTS) {
      throw new Failure("too-large", `a tunnel carries at most ${MAX_TUNNEL_PORTS} ports of a sandbox, not ${most}`, {
        hint: `end it with \`p2prc group tunnel ${group.name} --stop\`, and name fewer`,
      });
    }
    return row;
  }

  #open(row: TunnelRow): Tunnel {
    const { connect, clock, random, log } = this.#deps;
    this.#argv ??= insideProgram(new URL("./inside/gate", import.meta.url));
    const reading = this.#argv;
    const openGate = async (box: SandboxId, signal: AbortSignal) => {
      const argv = await reading;
      return await GateLink.open(
        { connect: (wish, within) => connect(box, wish, within), argv, clock, random },
        signal,
      );
    };
    const tunnel = new Tunnel(row, { openGate, clock, log }, this.#options);
    this.#tunnels.set(row.id, tunnel);
    return tunnel;
  }

  async #end(id: string): Promise<void> {
    this.#book.delete(id);
    await this.#close(id);
  }

  async #close(id: string): Promise<void> {
    const tunnel = this.#tunnels.get(id);
    this.#tunnels.delete(id);
    await tunnel?.[Symbol.asyncDispose]();
  }

  /** @throws {Failure} not-found */
  #find(id: string, name: string): Tunnel {
    const tunnel = this.#tunnels.get(id);
    if (tunnel !== undefined) return tunnel;
    throw new Failure("not-found", `nothing is carried between the sandboxes of ${name}`, {
      hint: `\`p2prc group tunnel ${name} --port 8786\` begins it`,
    });
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(work);
    this.#last = turn.catch(() => undefined); // whoever asked hears of it
    return turn;
  }
}

/** @throws {Failure} bad-argument, not-found, too-large */
function rangeOf({ first, last, box }: TunnelPorts, group: Group): PortRange {
  if (last < first) throw new Failure("bad-argument", `no port is from ${first} to ${last}`);
  if (last - first >= MAX_TUNNEL_PORTS)
    throw new Failure("too-large", `a tunnel carries at most ${MAX_TUNNEL_PORTS} ports of a sandbox`);
  if (box === undefined) return { first, last };
  const member = group.members.find(({ id, name }) => id === box || name === box);
  if (member !== undefined) return { first, last, box: member.id };
  throw new Failure("not-found", `there is no sandbox "${cleanText(box, 80)}" in the group ${group.name}`, {
    hint: `\`p2prc group show ${group.name}\` lists them`,
  });
}

/** Who has a place keeps it. @throws {Failure} bad-argument, too-large */
function seatsOf({ name, members }: Group, before: readonly TunnelSeat[]): readonly TunnelSeat[] {
  const seats = new Map(before.map((seat) => [seat.id, seat]));
  const fresh = members.filter(({ id, box }) => box !== undefined && !seats.has(id));
  for (const { id, name: called } of fresh) {
    const taken = new Set(Array.from(seats.values(), ({ place }) => place));
    let place = 1;
    while (taken.has(place)) place++;
    seats.set(id, { id, name: called, place });
  }
  if (seats.size > MAX_TUNNEL_MEMBERS)
    throw new Failure("too-large", `a tunnel joins at most ${MAX_TUNNEL_MEMBERS} sandboxes, not ${seats.size}`, {
      hint: "make a smaller group of those that need each other",
    });
  if (seats.size >= 2) return [...seats.values()];
  throw new Failure("bad-argument", `${name} has not two sandboxes that could reach each other`, {
    hint: `\`p2prc group add ${name} BOX\``,
  });
}

function refusal({ seat, why }: { readonly seat: TunnelSeat; readonly why: Failure }): Failure {
  return new Failure(why.code, `${seat.name}: ${why.message}`, { hint: why.hint, cause: why });
}
