/**
 * The container that owns a sandbox's network namespace and its egress rules, and is not the guest's.
 *
 * The sandbox joins the namespace without any right over it. The companion holds NET_ADMIN there and nothing else; it
 * runs a loop that takes `nft` commands from its standard input, one line each, so that rules can be read and renewed within
 * milliseconds and without a process of the engine's for each.
 */

import { createInterface } from "node:readline";
import { Failure } from "../../../core/index.ts";
import type { SandboxSpec } from "../runtime.ts";
import type { Attached } from "./attached.ts";
import { type EgressOptions, egressCommand, egressFaults, LIST_COMMAND } from "./egress.ts";
import type { Engine } from "./engine.ts";
import { attach } from "./way-inside.ts";
import { labels, NETWORK_NAME, ourProgram } from "./words.ts";

const MIB = 1024 ** 2;

/**
 * $1: what /etc/resolv.conf shall say; the rest: how nft is started. A line is a word that comes back with the answer, and
 * a command. The text is constant: nothing of anybody's is part of it.
 */
const LOOP = `printf '%s' "$1" > /etc/resolv.conf; shift
while IFS=' ' read -r word line; do
  if said=$("$@" "$line" 2>&1); then printf '%s ok %s\\n' "$word" "$said"; else printf '%s no %s\\n' "$word" "$said"; fi
done`;

export interface CompanionSurroundings {
  readonly keeper: string;
  readonly image: string;
  readonly kind: "docker" | "podman";
  /** Public ones: those of the owner's network are refused like all of it. */
  readonly nameServers: readonly string[];
}

export function companionRequest({ id, name, labels: spec }: SandboxSpec, around: CompanionSurroundings) {
  const resolving = around.nameServers.map((address) => `nameserver ${address}\n`).join("");
  return {
    Image: around.image,
    Hostname: name,
    User: "0:0",
    Entrypoint: [...ourProgram("sh"), "-c", LOOP, "companion", `${resolving}options timeout:2\n`],
    Cmd: [...ourProgram("nft"), "-j", "-s"],
    Env: [],
    Healthcheck: { Test: ["NONE"] },
    OpenStdin: true,
    StdinOnce: false,
    AttachStdin: false,
    AttachStdout: false,
    AttachStderr: false,
    Tty: false,
    StopSignal: "SIGKILL",
    Labels: {
      [labels.keeper]: around.keeper,
      [labels.role]: "companion",
      [labels.id]: id,
      [labels.spec]: JSON.stringify(spec),
    },
    HostConfig: {
      Privileged: false,
      CapDrop: ["ALL"],
      CapAdd: ["NET_ADMIN"],
      SecurityOpt: [around.kind === "podman" ? "no-new-privileges" : "no-new-privileges:true"],
      NetworkMode: NETWORK_NAME,
      Dns: around.nameServers,
      IpcMode: "private",
      CgroupnsMode: "private",
      Memory: 64 * MIB,
      MemorySwap: 64 * MIB,
      NanoCpus: 1e9,
      PidsLimit: 16,
      ShmSize: MIB,
      LogConfig: { Type: "none", Config: {} },
      RestartPolicy: { Name: "no", MaximumRetryCount: 0 },
      AutoRemove: false,
      Init: false,
    },
  };
}

/** The way to a companion that runs. */
export class CompanionLine implements AsyncDisposable {
  readonly #attached: Attached;
  readonly #waiting = new Map<string, PromiseWithResolvers<string>>();
  #asked = 0;

  static async open(engine: Engine, container: string, signal: AbortSignal): Promise<CompanionLine> {
    return new CompanionLine(await attach(engine, container, signal));
  }

  private constructor(attached: Attached) {
    this.#attached = attached;
    attached.on("error", () => {}); // "close" follows, and that is what counts
    createInterface({ input: attached }).on("line", (line) => this.#hear(line));
    attached.once("close", () => this.#end());
  }

  get open(): boolean {
    return !this.#attached.destroyed;
  }

  /** Puts the rules in the place of those that stand, all at once. @throws {Failure} runtime-failed */
  async load(options: EgressOptions, signal: AbortSignal): Promise<void> {
    await this.#command(egressCommand(options), signal);
  }

  /** What the rules that stand lack. @throws {Failure} runtime-failed */
  async faults(options: EgressOptions, signal: AbortSignal): Promise<readonly string[]> {
    return egressFaults(await this.#command(LIST_COMMAND, signal), options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#attached.destroy();
  }

  async #command(command: string, signal: AbortSignal): Promise<string> {
    signal.throwIfAborted();
    if (!this.open) throw gone();
    // Another daemon of this node may be attached too, and hears the same answers.
    const word = `${process.pid}.${performance.timeOrigin}.${this.#asked++}`;
    const answer = Promise.withResolvers<string>();
    const onAbort = () => answer.reject(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    this.#waiting.set(word, answer);
    this.#attached.write(`${word} ${command}\n`);
    try {
      return await answer.promise;
    } finally {
      this.#waiting.delete(word);
      signal.removeEventListener("abort", onAbort);
    }
  }

  #hear(line: string): void {
    const [word = "", verdict, ...rest] = line.split(" ");
    const said = rest.join(" ");
    if (verdict === "ok") this.#waiting.get(word)?.resolve(said);
    else this.#waiting.get(word)?.reject(new Failure("runtime-failed", `nft refuses the rules: ${said.slice(0, 300)}`));
  }

  #end(): void {
    for (const answer of this.#waiting.values()) answer.reject(gone());
  }
}

const gone = () => new Failure("runtime-failed", "the container that holds the network rules has ended");
