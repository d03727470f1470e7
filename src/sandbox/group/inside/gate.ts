/**
 * The gate of one sandbox in its group's tunnel: listens on the addresses of its neighbours, and connects what comes for it from
 * them to the sandbox's own ports.
 *
 * Its stdin begins with a line that whoever connects must know; its stdout says on which port of 127.0.0.1 that is to be. One
 * connection is let in, and `strands.ts` goes over it. With it, or with stdin, the gate ends.
 */

import { timingSafeEqual } from "node:crypto";
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { after } from "./clock.ts";
import { writeNames } from "./names.ts";
import { Strand } from "./strand.ts";
import {
  decodeTarget,
  encodePiece,
  encodeTarget,
  FROM_OUTSIDE,
  type Neighbour,
  type Piece,
  PieceReader,
  type Plan,
  type Report,
} from "./strands.ts";

interface Listening {
  readonly place: number;
  readonly port: number;
  readonly server: Server;
  /** Undefined: it listens. */
  why: string | undefined;
  again: () => void;
}

/** What has a port of a neighbour may let go of it, as the gate before this one does. */
const AGAIN_MS = 2_000;
const MAX_TOLD = 32;
/**
 * A server that is just being started is waited for, 5 s: who connects has been let in by us already, and many that would try
 * again where nobody listens give up where they are broken off.
 */
const DIALS = 20;
const DIAL_AGAIN_MS = 250;
/** A test has no other way to say where. */
const { P2PRC_HOSTS: HOSTS = "/etc/hosts" } = process.env;

class Gate {
  readonly #way: Socket;
  readonly #strands = new Map<number, Strand>();
  /** What comes before the connection is there: a window at most. */
  readonly #early = new Map<number, Piece[]>();
  readonly #listening = new Map<string, Listening>();
  #own = "127.0.0.1";
  #lastStrand = 0;
  #names = false;
  #plan = 0;
  #told = "";
  #planning: Promise<void> = Promise.resolve();

  constructor(way: Socket) {
    this.#way = way;
  }

  take(piece: Piece): void {
    const { kind, strand, content } = piece;
    if (kind === "plan") {
      const plan = JSON.parse(content.toString("utf8")) as Plan;
      this.#planning = this.#planning.then(() => this.#follow(plan));
    } else if (kind === "open") void this.#dial(strand, decodeTarget(content).port);
    else if (this.#early.has(strand)) this.#early.get(strand)?.push(piece);
    else this.#strands.get(strand)?.take(piece);
  }

  readonly #say = (piece: Buffer): void => {
    if (!this.#way.destroyed) this.#way.write(piece);
  };

  async #follow({ number, mark, own, neighbours }: Plan): Promise<void> {
    this.#own = own.address;
    const wanted = new Map<string, Neighbour>();
    for (const each of neighbours) {
      for (const port of each.ports) wanted.set(`${each.address}:${port}`, each);
      for (const port of each.alone) wanted.set(`127.0.0.1:${port}`, each);
    }
    for (const [key, { server, again }] of this.#listening) {
      if (wanted.has(key)) continue;
      again();
      server.close();
      this.#listening.delete(key);
    }
    const opening = Array.from(wanted, ([key, neighbour]) => this.#listen(key, neighbour));
    await Promise.all(opening);
    const lines = neighbours.length === 0 ? [] : [own, ...neighbours];
    this.#names = await writeNames(HOSTS, mark, lines);
    this.#plan = number;
    this.#report();
  }

  /** Resolves when it listens, or when it is known why not. */
  async #listen(key: string, { place }: Neighbour): Promise<void> {
    if (this.#listening.has(key)) return;
    const [address, digits] = key.split(":");
    const port = Number(digits);
    const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) =>
      this.#accept(socket, { place, port }),
    );
    const one: Listening = { place, port, server, why: undefined, again: () => undefined };
    this.#listening.set(key, one);
    const attempt = () => void server.listen({ port, host: address, exclusive: true });
    const tried = new Promise<void>((resolve) => {
      server.on("listening", () => {
        one.why = undefined;
        resolve();
        this.#report();
      });
      server.on("error", ({ code, message }: NodeJS.ErrnoException) => {
        one.why = code ?? message;
        one.again = after(AGAIN_MS, attempt);
        resolve();
        this.#report();
      });
    });
    attempt();
    await tried;
  }

  /** Only what is new. */
  #report(): void {
    const taken = [...this.#listening.values()].flatMap(({ place, port, why }) =>
      why === undefined ? [] : [{ place, port, why }],
    );
    const report: Report = {
      plan: this.#plan,
      names: this.#names,
      taken: taken.slice(0, MAX_TOLD),
      takenCount: taken.length,
    };
    const text = JSON.stringify(report);
    if (text !== this.#told) this.#say(encodePiece("report", 0, text));
    this.#told = text;
  }

  #accept(socket: Socket, target: { readonly place: number; readonly port: number }): void {
    this.#lastStrand = (this.#lastStrand % (FROM_OUTSIDE - 1)) + 1;
    const id = this.#lastStrand;
    this.#say(encodePiece("open", id, encodeTarget(target)));
    this.#keep(id, socket);
  }

  /** Servers are at the sandbox's own address in the group, or else at 127.0.0.1 alone. */
  async #dial(id: number, port: number): Promise<void> {
    const early: Piece[] = [];
    this.#early.set(id, early);
    const isWanted = () => early.every(({ kind }) => kind !== "broken");
    let socket: Socket | undefined;
    for (let tries = 0; socket === undefined && tries < DIALS && isWanted(); tries++) {
      if (tries > 0) await new Promise<void>((resolve) => void after(DIAL_AGAIN_MS, resolve));
      socket = (await dialled(this.#own, port)) ?? (await dialled("127.0.0.1", port));
    }
    this.#early.delete(id);
    if (socket === undefined) return this.#say(encodePiece("broken", id));
    const strand = this.#keep(id, socket);
    for (const piece of early) strand.take(piece);
  }

  #keep(id: number, socket: Socket): Strand {
    const strand = new Strand(id, socket, { say: this.#say, onOver: () => void this.#strands.delete(id) });
    this.#strands.set(id, strand);
    return strand;
  }
}

/** Undefined: nothing listens there. */
async function dialled(host: string, port: number): Promise<Socket | undefined> {
  const socket = connect({ host, port, allowHalfOpen: true, noDelay: true });
  try {
    await once(socket, "connect");
    return socket;
  } catch {
    return undefined; // it says so itself
  }
}

async function main(): Promise<void> {
  const word = await firstLine(process.stdin);
  process.stdin.once("close", () => process.exit());
  const server = createServer({ noDelay: true }, (socket) => {
    void admit(socket, word).then((known) => {
      if (!known || !server.listening) return void socket.destroy();
      server.close();
      serve(socket);
    });
  });
  server.maxConnections = MAX_AT_DOOR;
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  process.stdout.write(`${(server.address() as AddressInfo).port}\n`);
}

/** Others inside may knock, too. */
const MAX_AT_DOOR = 8;

function serve(socket: Socket): void {
  const gate = new Gate(socket);
  const reader = new PieceReader();
  socket.once("close", () => process.exit());
  socket.on("data", (bytes: Buffer) => {
    for (const piece of reader.take(bytes)) gate.take(piece);
  });
  socket.resume();
}

/** Whether what comes first is the word. */
async function admit(socket: Socket, word: Buffer): Promise<boolean> {
  socket.on("error", () => undefined); // "close" follows
  const gone = new Promise((resolve) => socket.once("close", resolve));
  while (!socket.destroyed) {
    const said = socket.read(word.length) as Buffer | null;
    if (said !== null) return said.length === word.length && timingSafeEqual(said, word);
    await Promise.race([new Promise((resolve) => socket.once("readable", resolve)), gone]);
  }
  return false;
}

/** It goes on being read, so that its end is noticed. */
function firstLine(input: NodeJS.ReadStream): Promise<Buffer> {
  let bytes: Buffer = Buffer.alloc(0);
  return new Promise((resolve) => {
    input.on("data", (chunk: Buffer) => {
      if (!bytes.includes("\n")) bytes = Buffer.concat([bytes, chunk]);
      if (bytes.includes("\n")) resolve(bytes.subarray(0, bytes.indexOf("\n")));
    });
  });
}

void main();
