/** A home with real sandboxes in it, made by bubblewrap, and a way to run things in them. */

import { spawnSync } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { silentLog, systemClock } from "../../src/base/index.ts";
import { openHelper, residentCommand } from "../../src/sandbox/helper/open-helper.ts";
import { Inside } from "../../src/sandbox/inside/inside.ts";
import { encodeFrame, FrameReader } from "../../src/sandbox/resident/frames.ts";
import type { BubblewrapRuntime } from "../../src/sandbox/runtime/bubblewrap/bubblewrap-runtime.ts";
import { type BubblewrapDeps, openBubblewrap } from "../../src/sandbox/runtime/bubblewrap/open-bubblewrap.ts";
import { processTree } from "../../src/sandbox/runtime/bubblewrap/no-cgroups.ts";
import { SandboxFolder, type SandboxRecord } from "../../src/sandbox/runtime/bubblewrap/sandbox-folder.ts";
import type { FoundSandbox, Runtime, SandboxSpec } from "../../src/sandbox/runtime/runtime.ts";
import type { SandboxId } from "../../src/sandbox/runtime/sandbox-id.ts";
import { sandboxSpec } from "../contract/runtime.ts";

const signal = new AbortController().signal;

/** Why it cannot be tried here, or false. */
export function bubblewrapSkip(): string | false {
  if (process.platform !== "linux") return "bubblewrap is for Linux";
  const tried = spawnSync("bwrap", ["--unshare-user", "--ro-bind", "/", "/", "true"], { encoding: "utf8" });
  if (tried.error !== undefined) return "bubblewrap is not installed";
  return tried.status === 0 ? false : `bubblewrap does not work here: ${tried.stderr.trim()}`;
}

export interface Output {
  readonly out: string;
  readonly code: unknown;
}

export class BubblewrapWorld implements AsyncDisposable {
  readonly home: string;
  runtime: BubblewrapRuntime;
  readonly #deps: BubblewrapDeps;

  static async open(options: Partial<BubblewrapDeps> = {}): Promise<BubblewrapWorld> {
    const home = options.home ?? (await mkdtemp(join(tmpdir(), "p2prc-walls-")));
    const helper = await openHelper(home, {}, signal);
    const { uid, gid, username: name } = userInfo();
    const path = process.env["PATH"] ?? "";
    const own = { clock: systemClock, log: silentLog, home, user: { uid, gid, name }, path };
    const deps: BubblewrapDeps = { ...own, helper: helper.path, residentCommand, ...options };
    return new BubblewrapWorld(deps, await openBubblewrap(deps, signal));
  }

  private constructor(deps: BubblewrapDeps, runtime: BubblewrapRuntime) {
    this.home = deps.home;
    this.#deps = deps;
    this.runtime = runtime;
  }

  async reopen(): Promise<Runtime> {
    await this.runtime[Symbol.asyncDispose]();
    this.runtime = await openBubblewrap(this.#deps, signal);
    return this.runtime;
  }

  /** Makes one. It is gone with the world. */
  async make(choices: Partial<SandboxSpec> = {}): Promise<SandboxId> {
    const spec = sandboxSpec(choices);
    await this.runtime.create(spec, () => undefined, signal);
    return spec.id;
  }

  /** Runs a line of shell inside; stdout and stderr are one. */
  async sh(id: SandboxId, line: string): Promise<Output> {
    await using inside = await Inside.open(await this.runtime.open(id, signal), { clock: systemClock }, signal);
    const stream = await inside.exec({ argv: ["/bin/sh", "-c", line], env: {} }, signal);
    stream.write(encodeFrame("stdinEnd"));
    const reader = new FrameReader();
    let out = "";
    let code: unknown;
    for await (const bytes of stream as AsyncIterable<Buffer>) {
      for (const { kind, content } of reader.take(bytes)) {
        if (kind === "stdout" || kind === "stderr") out += content.toString();
        if (kind === "end") ({ code } = JSON.parse(content.toString()) as { code: unknown });
      }
    }
    return { out, code };
  }

  /** The end of its command's log. */
  async log(id: SandboxId, lines: number): Promise<string> {
    return await text(await this.runtime.logs(id, { follow: false, lines }, signal));
  }

  /** Looks at it again and again, for at most 20 s. */
  async until(id: SandboxId, wanted: (found: FoundSandbox) => boolean): Promise<FoundSandbox> {
    for (let turn = 0; turn < 200; turn++) {
      const found = (await this.runtime.list(signal)).find((one) => one.id === id);
      if (found !== undefined && wanted(found)) return found;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw new Error("it did not come about");
  }

  /** What `ask` says once it says `wanted`, or after 5 s. */
  async settled<T>(ask: () => Promise<T>, wanted: T): Promise<T> {
    let answer = await ask();
    for (let turn = 0; turn < 100 && JSON.stringify(answer) !== JSON.stringify(wanted); turn++) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      answer = await ask();
    }
    return answer;
  }

  /** What is written down about it. */
  async record(id: SandboxId): Promise<SandboxRecord> {
    const record = await new SandboxFolder(join(this.home, "sandboxes"), id).read();
    if (record === undefined) throw new Error("nothing is written down about it");
    return record;
  }

  /** Its processes as this machine sees them. */
  async processes(id: SandboxId): Promise<readonly { readonly pid: number; readonly uids: readonly number[] }[]> {
    const record = await new SandboxFolder(join(this.home, "sandboxes"), id).read();
    const pids = record?.first === undefined ? [] : await processTree(record.first.pid);
    const found = await Promise.all(
      pids.map(async (pid) => {
        const status = await readFile(`/proc/${pid}/status`, "utf8").catch(() => ""); // gone
        const uids = /^Uid:\s*(.*)$/mu.exec(status)?.[1]?.split(/\s+/u).map(Number);
        return uids === undefined ? [] : [{ pid, uids }];
      }),
    );
    return found.flat();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.runtime[Symbol.asyncDispose](); // waits for those that are being made
    for (const { id } of await this.runtime.list(signal)) await this.runtime.remove(id, signal);
    await rm(this.home, { recursive: true, force: true });
  }
}
