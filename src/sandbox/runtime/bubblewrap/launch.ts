/**
 * Starts the first process of a sandbox, and everything around it that must be there before it runs.
 *
 * One process becomes all of it: limits, then namespaces of its own, then a shell of four words that waits to be told, then
 * bubblewrap. While it waits, the daemon writes which users it has, puts it into its control group, mounts and filters.
 * Should the daemon die meanwhile, the shell reads the end of its input, and nothing was ever run.
 */

import { type ChildProcess, spawn, type StdioOptions } from "node:child_process";
import { once } from "node:events";
import { type FileHandle, open, readdir, readFile, rename, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import type { Readable, Writable } from "node:stream";
import { text } from "node:stream/consumers";
import { pipeline } from "node:stream/promises";
import { Failure } from "../../../core/index.ts";
import { DEV_CAPABILITIES } from "./arguments.ts";
import { mountOver } from "./mounts.ts";
import type { SandboxFolder } from "./sandbox-folder.ts";
import { runTool } from "./run-tool.ts";
import type { Users } from "./uid-ranges.ts";
import type { Tools } from "./tools.ts";

export interface Launch {
  readonly folder: SandboxFolder;
  readonly users: Users;
  /** With a network namespace from the start, for rules to be put into. */
  readonly networked: boolean;
  /** Where no control group counts them. */
  readonly pids: number | undefined;
  /** Arguments of bubblewrap, up to `--`. */
  readonly view: readonly string[];
  /** What runs inside; `{socket}` stands for the descriptor of its listening socket. */
  readonly argv: (socket: number) => readonly string[];
  /** A file with the filter of system calls. */
  readonly seccomp: string;
}

/** A program of /bin/sh that is always the same; what it runs are its arguments, which it does not read. */
const WAIT = 'echo >&3; exec 3>&-; read -r _ && exec "$@" </dev/null';
/** The same with an input: what was its descriptor 4. */
const WAIT_AND_READ = 'echo >&3; exec 3>&-; read -r _ && exec "$@" <&4 4>&-';
const READY = 3;
const SECCOMP = 4;
const INPUT = 4;
const SOCKET = 5;
const STATUS = 6;
/** What bubblewrap is asked for comes this way, since those inside can read its command line: they need not know our paths. */
const VIEW = 7;

/** security.md 5.3. */
const LIMITS = ["--nofile=4096:4096", "--core=0:0", "--memlock=65536:65536"];

export class Launched {
  readonly pid: number;
  /** Rejects when it has ended, with what it said. */
  readonly ended: Promise<never>;
  readonly #child: ChildProcess;
  readonly #folder: SandboxFolder;

  constructor(child: ChildProcess, folder: SandboxFolder) {
    this.#child = child;
    this.#folder = folder;
    this.pid = child.pid ?? 0;
    this.ended = once(child, "exit").then(async () => {
      throw await failed(folder);
    });
    this.ended.catch(() => {}); // most of the time nobody is waiting for it
  }

  /** Lets it run. @returns the number of the first process inside @throws {Failure} runtime-failed */
  async go(signal: AbortSignal): Promise<number> {
    this.#child.stdin?.end("\n");
    const line = await readTo("}\n", endOf(this.#child, STATUS), signal);
    const pid = /"child-pid"\s*:\s*(\d+)/u.exec(line)?.[1];
    if (pid === undefined) throw await failed(this.#folder);
    return Number(pid);
  }

  /** From now on it lives by itself. */
  release(): void {
    for (const end of this.#child.stdio) end?.destroy();
    this.#child.unref();
  }
}

/** Resolves while it waits. @throws {Failure} runtime-failed */
export async function launch(what: Launch, tools: Tools, signal: AbortSignal): Promise<Launched> {
  signal.throwIfAborted();
  await using files = new AsyncDisposableStack();
  const seccomp = files.use(await open(what.seccomp, "r"));
  const errors = files.use(await openErrors(what.folder, what.users));
  const server = await listen(what.folder);
  files.defer(() => void server.close());
  const nothing = files.use(await open("/dev/null", "r"));
  const own = ["pipe", "ignore", errors.fd, "pipe", seccomp.fd, descriptorOf(server), "pipe", "pipe"] as const;
  const stdio = await overInherited(own, nothing.fd);
  const child = startWaiting(commandLine(what, tools), what.users, stdio);
  const launched = new Launched(child, what.folder);
  writeTo(child, VIEW, what.view.map((word) => `${word}\0`).join(""));
  try {
    const line = await readTo("\n", endOf(child, READY), signal);
    if (line === "") throw await failed(what.folder);
    await nameUsers(child.pid ?? 0, what.users, { tools, signal });
    return launched;
  } catch (error) {
    child.kill("SIGKILL");
    launched.release();
    throw error;
  }
}

function startWaiting(
  [file, ...args]: readonly [string, ...string[]],
  { outer: uid, outerGroup: gid }: Users,
  stdio: StdioOptions,
): ChildProcess {
  const identity = process.getuid?.() === 0 ? { uid, gid } : {};
  const child = spawn(file, args, { ...identity, cwd: "/", env: {}, detached: true, stdio });
  child.on("error", () => {}); // it never started: no number, no line
  child.stdin?.on("error", () => {}); // it is gone: the line that it owes does not come
  return child;
}

function commandLine({ users, networked, pids, argv }: Launch, tools: Tools): readonly [string, ...string[]] {
  // Within the user namespace: outside of it all that its owner runs would count.
  const counted = pids === undefined ? [] : [tools.prlimit, `--nproc=${pids}:${pids}`];
  return [
    tools.prlimit,
    ...LIMITS,
    ...[tools.unshare, "--user", "--mount", "--propagation", "unchanged", ...(networked ? ["--net"] : [])],
    ...counted,
    ...["/bin/sh", "-c", WAIT, "p2prc"],
    ...(users.many ? boundedBy(tools) : []),
    ...[tools.bwrap, "--info-fd", String(STATUS), "--seccomp", String(SECCOMP), "--args", String(VIEW), "--"],
    ...argv(SOCKET),
  ];
}

/**
 * Bubblewrap gives up what it may not keep, but as root of a namespace not the bounding set, from which programs inside could
 * take it again. So it starts without, and keeps what it needs meanwhile by inheritance.
 */
function boundedBy({ setpriv }: Tools): readonly string[] {
  const kept = DEV_CAPABILITIES.map((name) => `+${name.toLowerCase()}`);
  // Two steps: the kernel lets nothing be inherited that is not in the bounding set at that moment.
  return [setpriv, "--inh-caps", "+all", "--", setpriv, "--bounding-set", ["-all", ...kept].join(","), "--"];
}

export interface RunAs {
  readonly tools: Tools;
  readonly argv: readonly string[];
  /** What it reads. Undefined: nothing. */
  readonly input?: Readable;
  /** A folder of ours that these users may not reach by its path: for a root daemon, it is mounted over /tmp. */
  readonly over?: string;
}

/** Runs one program as root of namespaces of these users, where files of theirs can be made, counted and removed. */
export async function runAs(users: Users, { tools, argv, input, over }: RunAs, signal: AbortSignal): Promise<string> {
  const spaces = ["--user", "--mount", "--propagation", "unchanged"];
  const script = input === undefined ? WAIT : WAIT_AND_READ;
  const wait = [tools.unshare, ...spaces, "--", "/bin/sh", "-c", script, "p2prc", ...argv] as const;
  const child = startWaiting(wait, users, ["pipe", "pipe", "pipe", "pipe", input === undefined ? "ignore" : "pipe"]);
  const stop = () => child.kill("SIGKILL");
  signal.addEventListener("abort", stop, { once: true });
  try {
    const exited = once(child, "exit");
    const output = text(child.stdout as Readable);
    const errors = text(child.stderr as Readable);
    if ((await readTo("\n", endOf(child, READY), signal)) !== "") {
      await nameUsers(child.pid ?? 0, users, { tools, signal });
      if (over !== undefined && process.getuid?.() === 0) await mountOver(child.pid ?? 0, over, { tools, signal });
    }
    child.stdin?.end("\n");
    if (input !== undefined) await pipeline(input, writableOf(child, INPUT), { signal }).catch(() => {}); // its exit code says more
    const [code] = (await exited) as [number | null];
    signal.throwIfAborted();
    if (code !== 0) throw new Failure("runtime-failed", `"${argv[0]}" failed: ${lastLine(await errors)}`);
    return await output;
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

function lastLine(said: string): string {
  return said.trim().split("\n").at(-1) ?? "";
}

/** Which users of the host are those inside. Who may not say so asks the system's own tools, which look at /etc/subuid. */
async function nameUsers(
  pid: number,
  { uidMap, gidMap, many }: Users,
  { tools, signal }: { readonly tools: Tools; readonly signal: AbortSignal },
): Promise<void> {
  if (many && process.getuid?.() !== 0) {
    const words = (map: string) => map.trim().split(/\s+/u);
    await Promise.all([
      runTool([tools.newuidmap ?? "newuidmap", String(pid), ...words(uidMap)], {}, signal),
      runTool([tools.newgidmap ?? "newgidmap", String(pid), ...words(gidMap)], {}, signal),
    ]);
    return;
  }
  if (!many) await writeFile(`/proc/${pid}/setgroups`, "deny");
  await writeFile(`/proc/${pid}/uid_map`, uidMap);
  await writeFile(`/proc/${pid}/gid_map`, gidMap);
}

/**
 * The resident's socket is made and named out here, and it inherits the open one: inside there is no path to it that a
 * guest could bend. It is renamed since Node removes, with its own end, what lies under the name it was made with.
 */
async function listen(folder: SandboxFolder): Promise<Server> {
  await using place = (await folder.openSocket()).handle;
  const made = `/proc/self/fd/${place.fd}/new.sock`;
  const server = createServer();
  server.listen(made);
  await once(server, "listening");
  await rename(made, `/proc/self/fd/${place.fd}/resident.sock`);
  return server;
}

/**
 * What the daemon inherited from whoever started it, and would hand on, is covered: it might be anything. Node closes only
 * what it has opened itself.
 */
async function overInherited(own: readonly StdioItem[], nothing: number): Promise<StdioItem[]> {
  inherited ??= findInherited();
  const stdio = [...own];
  for (const fd of await inherited) {
    if (fd < own.length) continue;
    while (stdio.length < fd) stdio.push("ignore");
    stdio[fd] = nothing;
  }
  return stdio;
}

/** Looked for once: what comes later is Node's own, and closes by itself. One that was closed since is covered for nothing. */
let inherited: Promise<readonly number[]> | undefined;

async function findInherited(): Promise<readonly number[]> {
  const found: number[] = [];
  for (const name of await readdir("/proc/self/fdinfo")) {
    const text = await readFile(`/proc/self/fdinfo/${name}`, "utf8").catch(() => undefined); // closed meanwhile
    const flags = Number.parseInt(/^flags:\s*([0-7]+)$/mu.exec(text ?? "")?.[1] ?? "", 8);
    if (!Number.isNaN(flags) && (flags & O_CLOEXEC) === 0) found.push(Number(name));
  }
  return found.sort((a, b) => a - b);
}

type StdioItem = "pipe" | "ignore" | number;
/** <fcntl.h>; the same on x86-64 and arm64. */
const O_CLOEXEC = 0o2000000;

/** Node has no other way to hand a listening socket to a program that is not Node's own `fork`. */
function descriptorOf(server: Server): number {
  return (server as unknown as { readonly _handle: { readonly fd: number } })._handle.fd;
}

/** In the layer, since the resident keeps it for its own errors: what lies there counts as the guest's. */
async function openErrors({ layer }: SandboxFolder, { outer, outerGroup }: Users): Promise<FileHandle> {
  const file = await open(`${layer}/log/errors`, "ax", 0o600);
  if (process.getuid?.() === 0) await file.chown(outer, outerGroup);
  return file;
}

async function failed({ layer }: SandboxFolder): Promise<Failure> {
  const said = await readFirstErrors(layer);
  return new Failure("runtime-failed", `bubblewrap did not start: ${said === "" ? "it said nothing" : said}`, {
    hint: "`p2prc doctor` says what this machine lacks",
  });
}

async function readFirstErrors(layer: string): Promise<string> {
  await using file = await open(`${layer}/log/errors`, "r");
  const { buffer, bytesRead } = await file.read(Buffer.alloc(4_096), 0, 4_096, 0);
  return lastLine(buffer.subarray(0, bytesRead).toString("utf8"));
}

/** Its type knows five of them, though there may be any number. */
function endOf({ stdio }: ChildProcess, index: number): Readable {
  const ends: readonly unknown[] = stdio;
  return ends[index] as Readable;
}

function writeTo(child: ChildProcess, index: number, text: string): void {
  const end = writableOf(child, index);
  end.on("error", () => {}); // it is gone: that is seen elsewhere
  end.end(text);
}

function writableOf({ stdio }: ChildProcess, index: number): Writable {
  const ends: readonly unknown[] = stdio;
  return ends[index] as Writable;
}

/**
 * All of it is read: whoever writes into a pipe that was closed before is ended by that.
 * @returns what came up to `end`, or to the end of the stream
 */
async function readTo(end: string, stream: Readable, signal: AbortSignal): Promise<string> {
  let line = "";
  const stop = () => stream.destroy(signal.reason as Error);
  signal.addEventListener("abort", stop, { once: true });
  try {
    for await (const bytes of stream.iterator({ destroyOnReturn: true })) {
      line += String(bytes);
      if (line.endsWith(end)) break;
    }
    return line;
  } finally {
    signal.removeEventListener("abort", stop);
  }
}
