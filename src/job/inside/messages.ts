/**
 * What goes between `p2prc map` and its worker in a sandbox, over the standard streams of that one: the length of a header
 * and of a payload (four bytes each, big endian), the header as JSON, the payload.
 *
 * This file and those beside it run inside, sent along as source: they import node: and each other only.
 */

export interface TaskWish {
  /** Of one attempt at a task; its folder has this name. */
  readonly id: number;
  readonly argv: readonly string[];
  /** @default the home */
  readonly cwd?: string;
  readonly inputs: readonly InputWish[];
  /** Names in the folder `out` of the task. */
  readonly outs: readonly string[];
  readonly timeoutMs?: number;
}

export interface InputWish {
  readonly sha256: string;
  /** In the folder `in` of the task. */
  readonly name: string;
}

export type ToWorker =
  /** First of all. `keepBytes`: of inputs that no task waits for. */
  | { readonly do: "open"; readonly job: string; readonly slots: number; readonly keepBytes: number }
  | ({ readonly do: "task" } & TaskWish)
  /** Content that was asked for by `need`, in pieces; complete with `put-end`, given up with `put-drop`. */
  | { readonly do: "put" | "put-end" | "put-drop"; readonly sha256: string }
  | { readonly do: "cancel"; readonly id: number }
  /** The job is over: nothing of it is needed any more. */
  | { readonly do: "clear" };

export type FromWorker =
  /** `root`: where the folders of tasks are. */
  | { readonly did: "ready"; readonly root: string }
  | { readonly did: "need"; readonly id: number; readonly sha256: string }
  | { readonly did: "started"; readonly id: number }
  | { readonly did: "text"; readonly id: number; readonly from: "stdout" | "stderr" }
  /** A piece of an output, by its place in `outs`. */
  | { readonly did: "file"; readonly id: number; readonly out: number }
  | {
      readonly did: "file-end";
      readonly id: number;
      readonly out: number;
      readonly size: number;
      readonly sha256: string;
    }
  /** The last of a task, whatever became of it. */
  | { readonly did: "ended"; readonly id: number; readonly end: TaskEnd; readonly ms: number };

export type TaskEnd =
  | { readonly kind: "exited"; readonly code: number }
  | { readonly kind: "signalled"; readonly signal: string }
  | { readonly kind: "late" }
  | { readonly kind: "cancelled" }
  /** It could not be started, or what it was to leave is not there. */
  | { readonly kind: "refused"; readonly reason: string };

export interface Message {
  readonly header: unknown;
  readonly payload: Buffer;
}

/** What a piece of a file or of a task's words has at most. */
export const MAX_PAYLOAD_BYTES = 128 * 1024;
/** All words of a command together: the system takes 2 MiB of them, and few commands have more than some kilobytes. */
export const MAX_HEADER_BYTES = 1024 * 1024;
const HEAD_BYTES = 8;
const NOTHING = new Uint8Array();

/** @throws {RangeError} it is too long */
export function encodeMessage(header: ToWorker | FromWorker, payload: Uint8Array = NOTHING): Buffer {
  const words = Buffer.from(JSON.stringify(header));
  if (words.length > MAX_HEADER_BYTES || payload.length > MAX_PAYLOAD_BYTES) throw new RangeError("too long a message");
  const message = Buffer.allocUnsafe(HEAD_BYTES + words.length + payload.length);
  message.writeUInt32BE(words.length, 0);
  message.writeUInt32BE(payload.length, 4);
  message.set(words, HEAD_BYTES);
  message.set(payload, HEAD_BYTES + words.length);
  return message;
}

/** Cuts a stream of bytes into messages, whatever the pieces it arrives in. */
export class MessageReader {
  #rest: Buffer = Buffer.alloc(0);

  /** @throws {RangeError} what came is no message: give the stream up */
  *take(bytes: Uint8Array): IterableIterator<Message> {
    this.#rest = this.#rest.length === 0 ? Buffer.from(bytes) : Buffer.concat([this.#rest, bytes]);
    while (this.#rest.length >= HEAD_BYTES) {
      const words = this.#rest.readUInt32BE(0);
      const length = this.#rest.readUInt32BE(4);
      if (words > MAX_HEADER_BYTES || length > MAX_PAYLOAD_BYTES) throw new RangeError("not a message");
      const end = HEAD_BYTES + words + length;
      if (this.#rest.length < end) return;
      const header = parseHeader(this.#rest.subarray(HEAD_BYTES, HEAD_BYTES + words));
      const payload = this.#rest.subarray(HEAD_BYTES + words, end);
      this.#rest = this.#rest.subarray(end);
      yield { header, payload };
    }
  }
}

function parseHeader(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString("utf8"));
  } catch {
    throw new RangeError("not a message");
  }
}
