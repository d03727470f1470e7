/** A disk that is soon full. Mounting one takes root; without it the test is skipped, loudly. */

import { execFile } from "node:child_process";
import { mkdtemp, rm, rmdir, statfs, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { promisify } from "node:util";

const run = promisify(execFile);

export class TinyDisk implements AsyncDisposable {
  readonly path: string;
  readonly bytes: number;

  /** Undefined when this machine does not let us; the test is then marked as skipped. */
  static async mount(t: TestContext, bytes = 256 * 1024): Promise<TinyDisk | undefined> {
    const disk = new TinyDisk(await mkdtemp(join(tmpdir(), "p2prc-disk-")), bytes);
    try {
      await run("mount", ["-t", "tmpfs", "-o", `size=${disk.bytes},mode=0700`, "p2prc-test", disk.path]);
      return disk;
    } catch (error) {
      await rmdir(disk.path);
      t.skip(`SKIPPED: cannot mount a tiny disk (needs root): ${(error as Error).message.trim()}`);
      return undefined;
    }
  }

  private constructor(path: string, bytes: number) {
    this.path = path;
    this.bytes = bytes;
  }

  /** Takes what room is left, but for `freeBytes`. */
  async fill(freeBytes = 0): Promise<void> {
    const { bavail, bsize } = await statfs(this.path);
    const filler = new Uint8Array(Math.max(0, bavail * bsize - freeBytes));
    await writeFile(this.#filler, filler).catch(() => undefined); // somebody else wrote too: it is full all the same
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
