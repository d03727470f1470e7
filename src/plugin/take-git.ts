/**
 * One commit of a git repository, as a plugin. Its files are read out of the object store (`git archive`) and never checked
 * out: no hook, no filter and no submodule of the repository comes to life. The person's own git settings are left out too.
 */

import { spawn } from "node:child_process";
import { mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { devNull, tmpdir } from "node:os";
import { join } from "node:path";
import { env, kill } from "node:process";
import { text } from "node:stream/consumers";
import type { Clock } from "../base/index.ts";
import { cleanText, Failure } from "../core/index.ts";
import { takeTar } from "./take-tar.ts";

export interface GitOptions {
  readonly clock: Clock;
  /** @default 120_000 */
  readonly timeLimitMs?: number;
  /** In which nothing new comes. @default 30_000 */
  readonly silenceMs?: number;
  /** Of what is fetched, packed. @default 256 MiB */
  readonly maxBytes?: number;
}

export interface GitPlace {
  readonly url: string;
  /** A branch, a tag or a commit. */
  readonly ref: string;
}

const LOOK_MS = 250;

/** `https://…`, `ssh://…`, `git@host:…`, `file:///…`, with `#ref` behind. Undefined: it is something else. */
export function parseGitPlace(place: string): GitPlace | undefined {
  const [url = "", ref = "HEAD"] = place.split("#", 2);
  const known = /^(https|ssh|file):\/\/[^\s]+$/iu.test(url) || /^[A-Za-z0-9_.-]+@[A-Za-z0-9.-]+:[^\s:]+$/u.test(url);
  if (!known) return undefined;
  if (/^[A-Za-z0-9_][A-Za-z0-9_./-]{0,200}$/u.test(ref) && !/[\p{Cc}]/u.test(url)) return { url, ref };
  throw new Failure("bad-argument", `not a branch, a tag or a commit: "${cleanText(ref, 80)}"`);
}

/** @returns the commit @throws {Failure} unreachable, timed-out, too-large, not-allowed, not-supported */
export async function takeGit(
  { url, ref }: GitPlace,
  to: string,
  { signal, ...options }: GitOptions & { readonly signal: AbortSignal },
): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "p2prc-git-"));
  const done = new AbortController();
  const stop = new AbortController();
  const watching = watch(folder, { ...options, url }, done.signal).catch((error: unknown) => stop.abort(error));
  const within = AbortSignal.any([signal, stop.signal]);
  try {
    const git = (...args: readonly string[]) => run(["--git-dir", folder, ...args], within);
    await git("init", "--quiet", "--bare", "--template=");
    await git("fetch", "--quiet", "--depth=1", "--no-tags", "--no-recurse-submodules", "--", url, ref);
    const commit = (await git("rev-parse", "--verify", "FETCH_HEAD^{commit}")).trim();
    await archive(folder, { commit, to }, within);
    return commit;
  } finally {
    done.abort();
    await watching;
    await rm(folder, { recursive: true, force: true });
  }
}

async function archive(
  folder: string,
  { commit, to }: { readonly commit: string; readonly to: string },
  signal: AbortSignal,
): Promise<void> {
  const child = spawn("git", ["--git-dir", folder, ...SAFE, "archive", "--format=tar", commit], {
    env: cleanEnvironment(),
    stdio: ["ignore", "pipe", "pipe"],
  });
  const closed = new Promise<number | null>((resolve) =>
    child.once("close", resolve).once("error", () => resolve(null)),
  );
  const said = text(child.stderr);
  try {
    await takeTar(child.stdout, to, signal);
  } catch (error) {
    child.kill("SIGKILL");
    throw error;
  }
  if ((await closed) === 0) return;
  throw new Failure(
    "bad-argument",
    `git cannot read the commit: ${cleanText((await said).replaceAll(/\s+/gu, " "), 300)}`,
  );
}

const SAFE = ["-c", `core.hooksPath=${devNull}`, "-c", "core.fsmonitor=false", "-c", "protocol.ext.allow=never"];

async function run(args: readonly string[], signal: AbortSignal): Promise<string> {
  signal.throwIfAborted();
  const child = spawn("git", [...SAFE, ...args], {
    env: cleanEnvironment(),
    stdio: ["ignore", "pipe", "pipe"],
    detached: true, // what it starts to fetch with has to end too
  });
  const end = () => endGroup(child.pid);
  signal.addEventListener("abort", end, { once: true });
  const closed = new Promise<number | null>((resolve, reject) => {
    child.once("close", resolve);
    child.once("error", reject);
  });
  try {
    const [out, said, code] = await Promise.all([text(child.stdout), text(child.stderr), closed]);
    signal.throwIfAborted();
    if (code === 0) return out;
    throw new Failure("unreachable", `git: ${cleanText(said.replaceAll(/\s+/gu, " "), 300)}`, {
      hint: "try the same with `git ls-remote`",
    });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    throw new Failure("not-supported", "there is no git on this machine", {
      hint: "install it (`sudo apt-get install git`), or add the plugin from a folder or an archive",
    });
  } finally {
    signal.removeEventListener("abort", end);
  }
}

function endGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    kill(-pid, "SIGKILL");
  } catch {
    // it has ended
  }
}

/** Nobody is asked for a password, and nothing of the person's is read but their ssh keys. */
function cleanEnvironment(): NodeJS.ProcessEnv {
  const kept = ["PATH", "HOME", "SSH_AUTH_SOCK", "https_proxy", "HTTPS_PROXY", "no_proxy", "NO_PROXY", "SSL_CERT_FILE"];
  return {
    ...Object.fromEntries(kept.flatMap((key) => (env[key] === undefined ? [] : [[key, env[key]]]))),
    GIT_TERMINAL_PROMPT: "0",
    GIT_CONFIG_NOSYSTEM: "1",
    GIT_CONFIG_GLOBAL: devNull,
    GIT_ATTR_NOSYSTEM: "1",
    GIT_ALLOW_PROTOCOL: "https:ssh:file",
    GIT_SSH_COMMAND: "ssh -oBatchMode=yes -oConnectTimeout=20",
    GIT_ASKPASS: "true",
    LC_ALL: "C",
  };
}

/** Fails when it takes too long or too much room, or stands still. */
async function watch(
  folder: string,
  { clock, url, ...limits }: GitOptions & { readonly url: string },
  signal: AbortSignal,
): Promise<void> {
  const { timeLimitMs = 120_000, silenceMs = 30_000, maxBytes = 256 * 1_024 ** 2 } = limits;
  const end = clock.now() + timeLimitMs;
  let last = { size: 0, at: clock.now() };
  while (!signal.aborted) {
    await clock.sleep(LOOK_MS, signal).catch(() => undefined);
    if (signal.aborted) return;
    const [size, at] = [await sizeOf(folder), clock.now()];
    if (size !== last.size) last = { size, at };
    if (at > end || at > last.at + silenceMs) {
      const ms = at > end ? timeLimitMs : silenceMs;
      throw new Failure("timed-out", `"${cleanText(url, 120)}" did not answer within ${ms / 1_000} s`);
    }
    if (size > maxBytes) {
      throw new Failure("too-large", `the repository has over ${Math.round(maxBytes / 1_024 ** 2)} MiB`);
    }
  }
}

async function sizeOf(folder: string): Promise<number> {
  const names = await readdir(folder, { recursive: true }).catch(() => []);
  const sizes = await Promise.all(
    names.map(async (name) => (await stat(join(folder, name)).catch(() => undefined))?.size ?? 0),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}
