/** A disk of 256 KiB that is soon full. Mounting one takes root; without it the test is skipped, loudly. */

import { execFile } from "node:child_process";
import { mkdtemp, rm, rmdir, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { promisify } from "node:util";

const run = promisify(execFile);

export class TinyDisk implements AsyncDisposable {
  readonly path: string;
  readonly bytes = 256 * 1024;

  /** Undefined when this machine does not let us; the test is then marked as skipped. */
  static async mount(t: TestContext): Promise<TinyDisk | undefined> {
    const disk = new TinyDisk(await mkdtemp(join(tmpdir(), "p2prc-disk-")));
    try {
      await run("mount", ["-t", "tmpfs", "-o", `size=${disk.bytes},mode=0700`, "p2prc-test", disk.path]);
      return disk;
    } catch (error) {
      await rmdir(disk.path);
      t.skip(`SKIPPED: cannot mount a tiny disk (needs root): ${(error as Error).message.trim()}`);
      return undefined;
    }
  }

  private constructor(path: string) {
    this.path = path;
  }

  /** Takes what room is left. */
  async fill(): Promise<void> {
    await writeFile(this.#filler, new Uint8Array(this.bytes)).catch(() => undefined); // it ends where the disk does
  }

  /** Gives it back. */
  async clear(): Promise<void> {
    await rm(this.#filler);
  }

  get #filler(): string {
    return join(this.path, "filler");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await run("umount", ["--lazy", this.path]); // a test that failed may have left a file open
    await rmdir(this.path);
  }
}
