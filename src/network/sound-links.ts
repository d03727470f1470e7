/**
 * Tells the links that answer from those whose path has died and that do not know it yet.
 *
 * Keeping alive takes 15 s to be sure, and ends what runs on the link. Who has another way need not wait: a link
 * that is asked and says nothing for two seconds is passed over, until it speaks again.
 */

import { type Clock, Scope } from "../base/index.ts";
import type { Link } from "./link.ts";

/** Who answered just now is not asked again. */
const FRESH_MS = 2_000;
const SILENT_MS = 2_000;
/** A path to the other side of the world answers within this. */
const MOMENT_MS = 300;

interface Asked {
  /** Clock.now of the last answer. */
  answeredAt: number;
  /** Resolves with whether it came in time; undefined when none is awaited. */
  answer: Promise<boolean> | undefined;
}

export class SoundLinks {
  readonly #clock: Clock;
  readonly #asked = new WeakMap<Link, Asked>();
  readonly #doubted = new WeakSet<Link>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** It was silent when it should have spoken: is asked on, and doubted until it speaks. */
  doubt(link: Link): void {
    this.#doubted.add(link);
    const asked = this.#of(link);
    asked.answer ??= this.#ask(link, asked);
  }

  isDoubted(link: Link): boolean {
    return this.#doubted.has(link);
  }

  /** Whether it has answered within two seconds, or does now. */
  async isSound(link: Link, signal: AbortSignal): Promise<boolean> {
    const asked = this.#of(link);
    if (this.#clock.now() - asked.answeredAt < FRESH_MS) return true;
    asked.answer ??= this.#ask(link, asked);
    const sound = await asked.answer;
    signal.throwIfAborted();
    return sound;
  }

  /** The best that is sound. The next one is asked where the one before takes long, so that many dead ones cost no more than one. */
  async first(inOrder: readonly Link[], signal: AbortSignal): Promise<Link | undefined> {
    const asked: { readonly link: Link; readonly sound: Promise<boolean> }[] = [];
    for (const link of inOrder) {
      const sound = this.isSound(link, signal);
      sound.catch(() => undefined); // whoever waits hears of it
      asked.push({ link, sound });
      if (await this.#soon(sound, signal)) break;
    }
    for (const { link, sound } of asked) if (await sound) return link;
    return undefined;
  }

  /** Whether it says yes within a moment. */
  async #soon(sound: Promise<boolean>, signal: AbortSignal): Promise<boolean> {
    await using moment = new Scope(signal);
    return await Promise.race([sound, this.#clock.sleep(MOMENT_MS, moment.signal).then(() => false)]);
  }

  #of(link: Link): Asked {
    const asked = this.#asked.get(link) ?? { answeredAt: Number.NEGATIVE_INFINITY, answer: undefined };
    this.#asked.set(link, asked);
    return asked;
  }

  /** The question stays open longer than anybody waits: a late answer makes the link sound again. */
  #ask(link: Link, asked: Asked): Promise<boolean> {
    const waiting = new AbortController();
    const answered = link.ping(waiting.signal).then(
      () => {
        asked.answeredAt = this.#clock.now();
        this.#doubted.delete(link);
        return true;
      },
      () => false,
    );
    void answered.then(() => {
      asked.answer = undefined;
      waiting.abort();
    });
    const late = this.#clock.sleep(SILENT_MS, waiting.signal).then(
      () => false,
      () => true, // it was answered, one way or the other: the race is over
    );
    return Promise.race([answered, late]);
  }
}
