/** A throw-away home for the program that is measured. */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

export class Home implements AsyncDisposable {
  readonly path: string;

  static async open(): Promise<Home> {
    return new Home(await mkdtemp(join(tmpdir(), "p2prc-bench-")));
  }

  private constructor(path: string) {
    this.path = path;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // A daemon that has just ended may still be writing its compile cache.
    await rm(this.path, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
  }
}
