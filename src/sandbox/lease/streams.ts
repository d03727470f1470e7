/**
 * Byte streams of guests into their sandboxes, joined to streams of the resident and counted; nobody here reads them.
 *
 * Targets between nodes: `exec:<id>`, `ssh:<id>`, `port:<id>/<port>`, `files:<id>/<put|get>/<path>`.
 */

import type { Duplex } from "node:stream";
import { admits, type Caller, Failure, type NodeId, type Role } from "../../core/index.ts";
import type { ResidentKind } from "../resident/protocol.ts";
import { splice } from "../resident/splice.ts";
import { isSandboxId, type SandboxId } from "../runtime/sandbox-id.ts";
import type { Guest } from "./house.ts";
import type { Insides } from "./insides.ts";
import { isPaused, type Lease } from "./lease.ts";
import type { LeaseBook } from "./lease-book.ts";

export interface StreamsDeps {
  readonly book: LeaseBook;
  readonly insides: Insides;
  /** @throws {Failure} not-allowed */
  readonly guestOf: (caller: Caller) => Guest;
}

/** As the daemon's table of tunnels wants them. */
export interface SandboxTunnel {
  readonly kind: string;
  readonly admits: readonly Role[];
  open(rest: string, caller: Caller, signal: AbortSignal): Promise<(stream: Duplex) => void>;
}

interface Wish {
  readonly id: string;
  readonly kind: ResidentKind;
  /** What the resident is told after the kind. */
  readonly rest: string;
  readonly port?: number;
}

/** The resident takes 256; the rest is for what this node itself asks of it. */
const MAX_STREAMS_PER_SANDBOX = 250;

export class Streams {
  readonly #deps: StreamsDeps;
  readonly #open = new Map<SandboxId, number>();
  /** Ports with streams open, by guest: `<id>/<port>` and how many. */
  readonly #ports = new Map<NodeId, Map<string, number>>();
  readonly #bytes = new Map<SandboxId, number>();

  constructor(deps: StreamsDeps) {
    this.#deps = deps;
  }

  get tunnels(): readonly SandboxTunnel[] {
    const row = (kind: string, parse: (rest: string) => Wish): SandboxTunnel => ({
      kind,
      admits: admits.guests,
      open: async (rest, caller, signal) => await this.#connect(this.#deps.guestOf(caller), parse(rest), signal),
    });
    return [
      row("exec", (id) => ({ id, kind: "exec", rest: "" })),
      row("ssh", (id) => ({ id, kind: "ssh", rest: "" })),
      row("port", parsePort),
      row("files", parseFiles),
    ];
  }

  /** How many bytes went both ways since this was last asked. */
  takeBytes(id: SandboxId): number {
    const bytes = this.#bytes.get(id) ?? 0;
    this.#bytes.delete(id);
    return bytes;
  }

  /** How many bytes went both ways that nobody took yet. */
  bytes(id: SandboxId): number {
    return this.#bytes.get(id) ?? 0;
  }

  /** A port inside for whoever came to a public one: the grant's count of ports was held against that one. */
  async toPort(
    guest: Guest,
    { id, port }: { readonly id: SandboxId; readonly port: number },
    signal: AbortSignal,
  ): Promise<(stream: Duplex) => void> {
    return await this.#connect(guest, { id, kind: "port", rest: `127.0.0.1/${port}` }, signal);
  }

  async #connect(guest: Guest, wish: Wish, signal: AbortSignal): Promise<(stream: Duplex) => void> {
    const { id } = usable(this.#mine(guest, wish.id));
    const leave = this.#enter(guest, id, wish.port);
    try {
      const inside = await this.#deps.insides.open(id, signal);
      const far = await inside.connect(wish.kind, wish.rest, signal);
      far.once("close", leave);
      return (near) => {
        const note = (bytes: number) => void this.#bytes.set(id, (this.#bytes.get(id) ?? 0) + bytes);
        void splice(near, far, note);
      };
    } catch (error) {
      leave();
      throw error;
    }
  }

  /** @throws {Failure} not-found, also where it is another's */
  #mine(guest: Guest, id: string): Lease {
    const lease = isSandboxId(id) ? this.#deps.book.get(id) : undefined;
    if (lease === undefined || lease.guest !== guest.id) throw unknownSandbox(id);
    return lease;
  }

  /** Takes one of the places. @returns to be called when the stream has ended @throws {Failure} busy, not-allowed */
  #enter({ id: guest, grant }: Guest, id: SandboxId, port: number | undefined): () => void {
    const open = this.#open.get(id) ?? 0;
    if (open >= MAX_STREAMS_PER_SANDBOX)
      throw new Failure("busy", `${open} streams go into that sandbox already`, { hint: "end some, and try again" });
    const ports = this.#ports.get(guest) ?? new Map<string, number>();
    const place = `${id}/${port}`;
    if (port !== undefined && grant.kind !== "own" && !ports.has(place) && ports.size >= grant.ports)
      throw new Failure("busy", `${ports.size} ports are in use, and the grant allows ${grant.ports} at once`, {
        hint: "close another port first, or ask the owner for more",
      });
    this.#open.set(id, open + 1);
    if (port !== undefined) this.#ports.set(guest, ports.set(place, (ports.get(place) ?? 0) + 1));
    return once(() => {
      lower(this.#open, id);
      if (port !== undefined) lower(ports, place);
      if (ports.size === 0 && this.#ports.get(guest) === ports) this.#ports.delete(guest);
    });
  }
}

/** @throws {Failure} busy, conflict, not-found */
export function usable(lease: Lease): Lease {
  if (isPaused(lease))
    throw new Failure("busy", `the sandbox is frozen: ${lease.holds.map(({ why }) => why).join("; ")}`, {
      hint: "ask the owner of that node to let it go on",
    });
  switch (lease.state) {
    case "running":
      return lease;
    case "making":
      throw new Failure("busy", "the sandbox is still being made", { hint: "try again in a moment" });
    case "stopped":
      throw new Failure("conflict", `the sandbox has stopped: ${lease.reason ?? "nobody knows why"}`, {
        hint: "its logs can still be read; remove it, and make a new one",
      });
    case "removing":
      throw unknownSandbox(lease.id);
  }
}

export function unknownSandbox(id: string): Failure {
  return new Failure("not-found", `no sandbox "${id.slice(0, 40)}"`, { hint: "`p2prc ps` lists those that you have" });
}

function parsePort(rest: string): Wish {
  const [, id = "", text = ""] = /^([^/]*)\/(\d{1,5})$/.exec(rest) ?? [];
  const port = Number(text);
  if (text === "" || port < 1 || port > 65_535)
    throw new Failure("bad-argument", "that is no port of a sandbox", { hint: "a port is between 1 and 65535" });
  return { id, kind: "port", rest: `127.0.0.1/${port}`, port };
}

function parseFiles(rest: string): Wish {
  const [, id = "", kind, path = ""] = /^([^/]*)\/(put|get)\/(.*)$/s.exec(rest) ?? [];
  if (kind !== "put" && kind !== "get")
    throw new Failure("bad-argument", "files are put or got", { hint: "use `p2prc cp`" });
  return { id, kind, rest: path };
}

function lower<K>(counts: Map<K, number>, key: K): void {
  const left = (counts.get(key) ?? 0) - 1;
  if (left > 0) counts.set(key, left);
  else counts.delete(key);
}

function once(work: () => void): () => void {
  let done = false;
  return () => {
    if (!done) work();
    done = true;
  };
}
