/**
 * What a relay says last on a stream that it passes on, where it ends that by a limit of its own.
 *
 * It stands in the open, behind whole or broken records of the TLS inside, which ends by it. So each end gets it in order, by no other
 * link and no other stream. Whoever is in between can write it too, and the other end: it is good for words and for nothing else.
 */

import { formatDuration, formatSize } from "../core/index.ts";

const WHATS = ["bytes", "time", "day"] as const;
/** Whose limit it is: that of one who pays, or of several together. */
const WHOSE = ["stranger", "guest", "trusted", "address", "strangers", "all"] as const;

export interface LastWord {
  readonly what: (typeof WHATS)[number];
  readonly whose: (typeof WHOSE)[number];
  /** Bytes, or milliseconds. */
  readonly limit: number;
}

/** Every word fits. */
const MAX_BYTES = 64;
const PATTERN = new RegExp(`p2prc-relay-ends (${WHATS.join("|")}) (${WHOSE.join("|")}) ([0-9]{1,15})\n$`);

export function encodeLastWord({ what, whose, limit }: LastWord): Buffer {
  return Buffer.from(`p2prc-relay-ends ${what} ${whose} ${Math.round(limit)}\n`, "latin1");
}

/** The last bytes of a stream, as it goes by. */
export class LastWords {
  readonly #tail = Buffer.alloc(MAX_BYTES);

  add(chunk: Buffer): void {
    const fresh = chunk.subarray(-MAX_BYTES);
    this.#tail.copyWithin(0, fresh.length);
    fresh.copy(this.#tail, MAX_BYTES - fresh.length);
  }

  /** Undefined: it ended as streams do. */
  get word(): LastWord | undefined {
    const [, said, of, limit = ""] = PATTERN.exec(this.#tail.toString("latin1")) ?? [];
    const [what, whose] = [WHATS.find((each) => each === said), WHOSE.find((each) => each === of)];
    return what === undefined || whose === undefined ? undefined : { what, whose, limit: Number(limit) };
  }
}

const PAYERS: Readonly<Record<LastWord["whose"], string>> = {
  stranger: "a stranger",
  guest: "a guest",
  trusted: "a friend",
  address: "strangers at one address",
  strangers: "all strangers",
  all: "all strangers and guests",
};

/** For people, of the relay: `it passes on 512KiB at a time for a stranger, and that was all`. */
export function formatLastWord({ what, whose, limit }: LastWord): string {
  const payer = PAYERS[whose];
  switch (what) {
    case "bytes":
      return `it passes on ${formatSize(limit)} at a time for ${payer}, and that was all`;
    case "time":
      return `it passes a link on for ${formatDuration(limit)} for ${payer}, and that is over`;
    case "day":
      return `it passes on ${formatSize(limit)} a day for ${payer}, and that is used up`;
  }
}
