/**
 * News for whoever wants it. Listeners are called at once, in the order they came, and must be
 * quick; news from before one subscribed is not repeated. A listener that throws is a defect and
 * reaches the publisher.
 */

export class Topic<T> {
  readonly #listeners = new Set<(news: T) => void>();

  on(listener: (news: T) => void): Disposable {
    const own = (news: T) => listener(news); // the same function may subscribe twice
    this.#listeners.add(own);
    return { [Symbol.dispose]: () => void this.#listeners.delete(own) };
  }

  publish(news: T): void {
    for (const listener of [...this.#listeners]) listener(news);
  }

  get listenerCount(): number {
    return this.#listeners.size;
  }
}
