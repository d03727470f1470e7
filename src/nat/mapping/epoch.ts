/** Whether a router lost its mappings, told from its clock (RFC 6887 section 8.5, RFC 6886 section 3.6). */

interface Reading {
  readonly server: number;
  readonly client: number;
}

export class Epoch {
  #last: Reading | undefined;

  /** @param server what the router says @param client seconds of the own clock @returns whether it still knows what it knew */
  holds(server: number, client: number): boolean {
    const last = this.#last;
    this.#last = { server, client };
    if (last === undefined) return true;
    if (server < last.server - 1) return false;
    const [ours, theirs] = [client - last.client, server - last.server];
    return ours + 2 >= theirs - theirs / 16 && theirs + 2 >= ours - ours / 16;
  }
}
