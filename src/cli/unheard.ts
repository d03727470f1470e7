/**
 * Counts the Ctrl-C's that nothing answers. In a terminal they are for the command, and a sandbox that is frozen hears none:
 * whoever goes on pressing wants to leave, and has no other way to.
 */

const CTRL_C = 3;
/** More than anybody presses at a program that is slow to end, fewer than one gives up after. */
export const ENOUGH = 5;

export class Unheard {
  #presses = 0;

  get left(): boolean {
    return this.#presses >= ENOUGH;
  }

  /** @returns whether whoever typed that wants to leave */
  typed(keys: Uint8Array): boolean {
    this.#presses = keys.every((key) => key === CTRL_C) ? this.#presses + keys.length : 0;
    return this.left;
  }

  /** Something came from there: it lives. */
  answered(): void {
    this.#presses = 0;
  }
}
