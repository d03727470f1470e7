/**
 * Sandboxes with gates that are not inside of anything: they speak as `group/inside/gate.ts` does, in this process, and do what a
 * test says. What opens to one is echoed.
 */

import { duplexPair, type Duplex } from "node:stream";
import { Failure } from "../../src/core/index.ts";
import type { StreamWish } from "../../src/sandbox/ask.ts";
import {
  encodePiece,
  encodeTarget,
  type Piece,
  PieceReader,
  type Plan,
  type StrandKind,
  type Target,
} from "../../src/sandbox/group/inside/strands.ts";
import { encodeFrame, FrameReader } from "../../src/sandbox/resident/frames.ts";
import type { SandboxId } from "../../src/sandbox/runtime/sandbox-id.ts";

export class FakeGates {
  readonly gates = new Map<SandboxId, FakeGate>();
  /** What its node answers who asks for a port of it, or for anything. */
  readonly refuses = new Map<SandboxId, Failure>();

  readonly connect = async (box: SandboxId, wish: StreamWish, signal: AbortSignal): Promise<Duplex> => {
    signal.throwIfAborted();
    const refusal = this.refuses.get(box);
    const isOfPort = refusal?.code === "busy";
    if (refusal !== undefined && (!isOfPort || wish.kind === "port")) throw refusal;
    if (wish.kind === "exec") {
      const gate = new FakeGate();
      this.gates.set(box, gate);
      return gate.exec;
    }
    const way = wish.kind === "port" && wish.port === GATE_PORT ? this.gates.get(box)?.way : undefined;
    if (way === undefined) throw new Failure("unreachable", "nothing listens there");
    return way;
  };
}

const GATE_PORT = 40_000;

export class FakeGate {
  readonly exec: Duplex;
  readonly way: Duplex;
  readonly #near: Duplex;
  word = "";
  readonly plans: Plan[] = [];
  readonly heard: Piece[] = [];
  /** Whether it does what a plan says. */
  obeys = true;

  constructor() {
    const [exec, program] = duplexPair();
    const [way, near] = duplexPair();
    this.exec = exec;
    this.way = way;
    this.#near = near;
    this.#run(program);
    this.#listen();
  }

  say(kind: StrandKind, strand: number, content: Uint8Array | string = ""): void {
    this.#near.write(encodePiece(kind, strand, content));
  }

  open(strand: number, target: Target): void {
    this.say("open", strand, encodeTarget(target));
  }

  /** As `open data:2 end` and so on, of one strand. */
  heardOn(strand: number): string {
    return this.heard
      .filter((piece) => piece.strand === strand)
      .map(({ kind, content }) => (kind === "data" ? `data:${content.length}` : kind))
      .join(" ");
  }

  raw(bytes: Uint8Array): void {
    this.#near.write(bytes);
  }

  /** As when its node goes away. */
  cut(): void {
    this.exec.destroy();
    this.way.destroy();
  }

  #run(program: Duplex): void {
    const frames = new FrameReader();
    program.on("error", () => undefined);
    program.on("data", (bytes: Buffer) => {
      for (const { kind, content } of frames.take(bytes)) {
        if (kind !== "stdin") continue;
        this.word = content.toString().trim();
        program.write(encodeFrame("stdout", `${GATE_PORT}\n`));
      }
    });
  }

  #listen(): void {
    const pieces = new PieceReader();
    let isKnown = false;
    this.#near.on("error", () => undefined);
    this.#near.on("data", (bytes: Buffer) => {
      const rest = isKnown ? bytes : bytes.subarray(this.word.length);
      isKnown = true;
      for (const piece of pieces.take(rest)) this.#take(piece);
    });
  }

  #take(piece: Piece): void {
    const { kind, strand, content } = piece;
    if (kind === "plan") {
      const plan = JSON.parse(content.toString()) as Plan;
      this.plans.push(plan);
      if (this.obeys)
        this.say("report", 0, JSON.stringify({ plan: plan.number, names: true, taken: [], takenCount: 0 }));
      return;
    }
    this.heard.push({ ...piece, content: Buffer.from(content) });
    if (strand >= 2 ** 31 && (kind === "data" || kind === "end")) this.say(kind, strand, content);
  }
}
