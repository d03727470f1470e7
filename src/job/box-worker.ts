/**
 * The worker of one sandbox as those outside hold it: attempts go in, and what comes of each goes to who waits for it.
 *
 * Nothing that it says is believed without a look: the node's owner may have written it.
 */

import { type Clock, within } from "../base/index.ts";
import { cleanText, Failure } from "../core/light.ts";
import {
  encodeMessage,
  type FromWorker,
  type Message,
  MessageReader,
  type TaskEnd,
  type ToWorker,
} from "./inside/messages.ts";
import { BadDelivery, type Receipt } from "./receipt.ts";
import { BadInput, type Shipment } from "./shipment.ts";

/** A program in a sandbox: bytes in, bytes out. */
export interface Channel extends AsyncDisposable {
  /** Resolves when there is room for more; what is sent after its end goes nowhere. */
  write(bytes: Uint8Array): Promise<void>;
  /** Its stdout. Ends, and does not throw, when it ends or is cut off. */
  readonly output: AsyncIterable<Uint8Array>;
  /** How it ended, as far as that is known. */
  lastWords(): string;
}

export interface BoxWorkerDeps {
  readonly clock: Clock;
  /** Starts the worker. @throws {Failure} */
  readonly start: (signal: AbortSignal) => Promise<Channel>;
  /** Hears of content as it is shipped. */
  readonly onSent: (bytes: number) => void;
}

export interface Wish {
  readonly id: number;
  /** @param folder of the task */
  readonly argv: (folder: string) => readonly string[];
  readonly cwd?: string | undefined;
  readonly timeoutMs?: number | undefined;
  readonly input: { readonly name: string; readonly shipment: Shipment } | undefined;
  readonly outs: readonly string[];
  readonly receipt: Receipt;
  readonly onStarted: () => void;
}

export interface Ended {
  readonly end: TaskEnd;
  readonly ms: number;
}

interface Waiting extends PromiseWithResolvers<Ended> {
  readonly wish: Wish;
  /** How often its input was asked for. */
  needs: number;
}

/** One that had to make room asks again, three times at most; each is a file that is open here. */
const MAX_NEEDS = 8;

/** From the wish for one to its first word: a Node that starts on a slow and busy machine. */
const START_MS = 30_000;
/** For one that is frozen nobody waits. */
const CLEAR_MS = 5_000;

export class BoxWorker implements AsyncDisposable {
  readonly #channel: Channel;
  readonly #deps: Omit<BoxWorkerDeps, "start">;
  readonly #waiting = new Map<number, Waiting>();
  /** Wishes that nobody waits for any more, and of whose end the worker has not told yet. */
  readonly #calledOff = new Set<number>();
  readonly #closing = new AbortController();
  readonly #ready = Promise.withResolvers<string>();
  /** Rejects when it is gone, with why. */
  readonly gone: Promise<never>;
  #why: Error | undefined;
  #root = "";
  #hearing: Promise<void> = Promise.resolve();

  /** @throws {Failure} link-lost, timed-out, … */
  static async open(
    { clock, start, onSent }: BoxWorkerDeps,
    begin: Omit<Extract<ToWorker, { do: "open" }>, "do">,
    signal: AbortSignal,
  ): Promise<BoxWorker> {
    const worker = new BoxWorker(await start(signal), { clock, onSent });
    try {
      await worker.#say({ do: "open", ...begin });
      const late = () => new Failure("timed-out", "no worker answers in it");
      const ready = () => Promise.race([worker.#ready.promise, worker.gone]);
      worker.#root = await within({ clock, timeoutMs: START_MS, late }, ready, signal);
      return worker;
    } catch (error) {
      await worker[Symbol.asyncDispose]();
      throw error;
    }
  }

  private constructor(channel: Channel, deps: Omit<BoxWorkerDeps, "start">) {
    this.#channel = channel;
    this.#deps = deps;
    const gone = Promise.withResolvers<never>();
    this.gone = gone.promise;
    for (const promise of [this.gone, this.#ready.promise]) promise.catch(() => undefined); // they may be nobody's
    void this.#read().then((why) => {
      this.#why = why;
      gone.reject(why);
      for (const { reject } of this.#waiting.values()) reject(why);
    });
  }

  /**
   * Resolves when it has ended, however that was, and all it sent is in the receipt.
   * @throws {Failure} of this machine, or why the worker is gone @throws {BadInput} @throws {BadDelivery}
   */
  async run(wish: Wish, signal: AbortSignal): Promise<Ended> {
    const { id } = wish;
    const waiting = { wish, needs: 0, ...Promise.withResolvers<Ended>() };
    const message = encodeTask(wish, this.#root);
    const calledOff = () => {
      waiting.reject(signal.reason);
      this.#calledOff.add(id);
      void this.#say({ do: "cancel", id });
    };
    this.#waiting.set(id, waiting);
    signal.addEventListener("abort", calledOff, { once: true });
    try {
      if (signal.aborted) throw signal.reason;
      if (this.#why !== undefined) throw this.#why;
      void this.#channel.write(message); // one that is frozen takes nothing, and must not hold us up
      return await waiting.promise; // when the worker goes, that is told to all who wait
    } finally {
      signal.removeEventListener("abort", calledOff);
      this.#waiting.delete(id);
      await this.#hearing; // what came of it is being written down
    }
  }

  /** Leaves nothing of the job in the sandbox. */
  async clear(): Promise<void> {
    void this.#say({ do: "clear" });
    const enough = this.#deps.clock.sleep(CLEAR_MS, this.#closing.signal);
    await Promise.race([this.gone, enough]).catch(() => undefined); // it goes: that is how it answers
  }

  async #say(message: ToWorker, payload?: Uint8Array): Promise<void> {
    await this.#channel.write(encodeMessage(message, payload));
  }

  /** @returns why there is no more */
  async #read(): Promise<Error> {
    const reader = new MessageReader();
    try {
      for await (const bytes of this.#channel.output) {
        for (const message of reader.take(bytes)) {
          if (typeof message.header !== "object" || message.header === null) throw new RangeError("not a message");
          this.#hearing = this.#hear(message);
          await this.#hearing;
        }
      }
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      return new Failure("bad-reply", "what its worker says makes no sense", { cause: error });
    }
    const words = cleanText(this.#channel.lastWords(), 300);
    return new Failure("link-lost", words === "" ? "it was cut off" : `its worker ended: ${words}`);
  }

  async #hear({ header, payload }: Message): Promise<void> {
    const message = header as FromWorker;
    if (message.did === "ready") return this.#ready.resolve(textOf(message.root));
    const waiting = this.#waiting.get(message.id);
    if (waiting === undefined) return this.#hearLate(message);
    try {
      if (message.did === "ended") waiting.resolve(checkEnd(message));
      else if (message.did === "need") this.#need(waiting);
      else await receive(message, payload, waiting.wish);
    } catch (error) {
      waiting.reject(error);
      this.#waiting.delete(message.id);
      await this.#say({ do: "cancel", id: message.id });
    }
  }

  /** It was on its way when its task was called off. Others there may wait for what that one asked for: they ask when it does not come. */
  #hearLate(message: Exclude<FromWorker, { did: "ready" }>): void {
    const ours = this.#calledOff.delete(message.id);
    if (!ours || message.did !== "need" || !/^[0-9a-f]{64}$/.test(message.sha256)) return;
    void this.#say({ do: "put-drop", sha256: message.sha256 });
  }

  /** @throws {BadDelivery} */
  #need(waiting: Waiting): void {
    if (++waiting.needs > MAX_NEEDS) throw new BadDelivery("it asks for its input again and again");
    void this.#ship(waiting);
  }

  async #ship({ wish, reject }: Waiting): Promise<void> {
    if (wish.input === undefined) return;
    const { shipment } = wish.input;
    const { sha256 } = shipment.mark;
    try {
      for await (const piece of shipment.pieces(this.#closing.signal)) {
        this.#deps.onSent(piece.length);
        await this.#say({ do: "put", sha256 }, piece);
      }
      await this.#say({ do: "put-end", sha256 });
    } catch (error) {
      if (this.#closing.signal.aborted) return;
      reject(error);
      await this.#say({ do: "cancel", id: wish.id });
      await this.#say({ do: "put-drop", sha256 });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    await this.#channel[Symbol.asyncDispose]();
  }
}

/** @throws {BadInput} */
function encodeTask({ id, argv, cwd, timeoutMs, input, outs }: Wish, root: string): Buffer {
  const inputs = input === undefined ? [] : [{ sha256: input.shipment.mark.sha256, name: input.name }];
  const choices = { ...(cwd === undefined ? {} : { cwd }), ...(timeoutMs === undefined ? {} : { timeoutMs }) };
  try {
    return encodeMessage({ do: "task", id, argv: argv(`${root}/tasks/${id}`), inputs, outs, ...choices });
  } catch (error) {
    throw error instanceof RangeError ? new BadInput("the words of its command are too long") : error;
  }
}

/** @throws {BadDelivery} */
function checkEnd({ end, ms }: Extract<FromWorker, { did: "ended" }>): Ended {
  const tookMs = Number.isFinite(ms) && ms >= 0 ? ms : 0;
  switch (end?.kind) {
    case "late":
    case "cancelled":
      return { end: { kind: end.kind }, ms: tookMs };
    case "exited":
      if (Number.isInteger(end.code)) return { end, ms: tookMs };
      break;
    case "signalled":
      return { end: { kind: "signalled", signal: textOf(end.signal) }, ms: tookMs };
    case "refused":
      return { end: { kind: "refused", reason: textOf(end.reason) }, ms: tookMs };
  }
  throw new BadDelivery("its worker does not say how it ended");
}

/** Even of what can be no text. */
function textOf(said: unknown): string {
  return typeof said === "string" ? said : "";
}

/** @throws {Failure} of this machine @throws {BadDelivery} */
async function receive(message: FromWorker, payload: Buffer, { receipt, onStarted }: Wish): Promise<void> {
  switch (message.did) {
    case "started":
      return onStarted();
    case "text":
      if (message.from !== "stdout" && message.from !== "stderr") throw new BadDelivery("it printed to nowhere");
      return await receipt.print(message.from, payload);
    case "file":
      return await receipt.piece(placeOf(message.out), payload);
    case "file-end":
      return await receipt.end(placeOf(message.out), message);
    default:
      throw new BadDelivery("its worker says what nobody knows");
  }
}

/** @throws {BadDelivery} */
function placeOf(out: unknown): number {
  if (Number.isInteger(out)) return out as number;
  throw new BadDelivery("it sent what nobody asked for");
}
