/**
 * What makes sandboxes: Docker, Podman, bubblewrap, or memory in tests.
 *
 * The port is small because all that happens *inside* a sandbox (exec, ports, files, SSH) is asked of the resident, a
 * process of ours that was started in it without any privilege (`resident/`). A runtime only makes the walls, and opens
 * a byte stream to the resident behind them.
 */

import type { Duplex, Readable } from "node:stream";
import type { Topic } from "../../base/index.ts";
import type { Inside } from "../inside/inside.ts";
import type { SandboxId } from "./sandbox-id.ts";

export const runtimeKinds = ["docker", "podman", "bubblewrap", "memory"] as const;
export type RuntimeKind = (typeof runtimeKinds)[number];

/** strict: one unprivileged user, read-only system, no network. dev: root of its own user namespace, so that `apt` works. */
export const profiles = ["strict", "dev"] as const;
export type Profile = (typeof profiles)[number];

/** One GPU of this machine, as `index` and `uuid` of the vendor's tool name it. */
export interface GpuDevice {
  readonly vendor: "nvidia" | "amd";
  readonly index: number;
  readonly uuid: string;
  readonly model: string;
  readonly memoryBytes: number;
}

/** An image that a guest pushed: its parts lie in a folder as the OCI lays them out, and each is what its digest says. */
export interface PushedImage {
  /** Of its manifest. */
  readonly digest: string;
  /** Of its configuration. */
  readonly config: string;
  /** Has `blobs/sha256/` in it. */
  readonly folder: string;
}

/** Everything is decided: no default is left to the runtime. */
export interface SandboxSpec {
  readonly id: SandboxId;
  /** What the guest calls it; its host name inside. A valid DNS label. */
  readonly name: string;
  /** Undefined: the default image of the runtime. */
  readonly image: string | undefined;
  /** What `image` stands for, where the guest has pushed it: no registry and no archive is asked then. */
  readonly pushed?: PushedImage | undefined;
  readonly profile: Profile;
  /** Cores, with fractions. */
  readonly cpus: number;
  readonly memoryBytes: number;
  readonly diskBytes: number;
  readonly pids: number;
  /** internet: never the owner's LAN, host, metadata address, other sandboxes or the node's own API. */
  readonly network: "none" | "internet";
  readonly gpus: readonly GpuDevice[];
  /** Run beside the resident from the start; its output is the log. Undefined: nothing. */
  readonly command: readonly string[] | undefined;
  /** Kept on the sandbox itself, so that it can be known again without our books. Short strings. */
  readonly labels: Readonly<Record<string, string>>;
}

export type SandboxState = "running" | "paused" | "stopped";

/** What the runtime itself says is there. */
export interface FoundSandbox {
  readonly id: SandboxId;
  readonly state: SandboxState;
  readonly labels: Readonly<Record<string, string>>;
  /** Why it stopped, where known: `out of memory`, `disk quota`, `exit code 1`. */
  readonly reason?: string;
}

/** Since the sandbox was made. */
export interface SandboxStats {
  readonly cpuMs: number;
  readonly memoryBytes: number;
  readonly diskBytes: number;
  readonly pids: number;
  readonly receivedBytes: number;
  readonly sentBytes: number;
}

/** How a wall holds here: `engine` and `kernel` enforce, `watched` looks every 2 s and freezes, `none` does not hold. */
export interface Walls {
  readonly userNamespace: boolean;
  readonly seccomp: boolean;
  readonly memoryLimit: boolean;
  readonly pidsLimit: boolean;
  readonly cpuLimit: boolean;
  readonly networkFilter: boolean;
  readonly diskQuota: "engine" | "watched" | "none";
  /** A range of user ids per sandbox, so that `apt` works in images. */
  readonly uidRange: boolean;
}

export interface RuntimeFacts {
  readonly kind: RuntimeKind;
  readonly version: string;
  readonly walls: Walls;
  /** Which profiles can be had here. @default both */
  readonly profiles?: readonly Profile[];
  /** Whether images by reference can be had. bubblewrap takes a rootfs tar or an OCI layout. */
  readonly images: "registry" | "archives";
  /** What a person should know or do, in whole sentences: for `doctor`, `status` and `info`. */
  readonly problems: readonly string[];
}

export interface ImageProgress {
  readonly image: string;
  readonly layers: { readonly done: number; readonly all: number };
  readonly bytes: { readonly done: number; readonly all: number };
}

export interface LogsOptions {
  readonly follow: boolean;
  /** From the end. */
  readonly lines: number;
}

export interface Runtime extends AsyncDisposable {
  readonly facts: RuntimeFacts;

  /** News of one that it has frozen of its own accord; `list` says why. Undefined: it never does. */
  readonly frozen?: Topic<SandboxId> | undefined;

  /**
   * Makes the sandbox, starts the resident in it, and resolves when its walls were verified from inside. On failure nothing
   * is left. Made already (by id): resolves with no second one made.
   * @throws {Failure} bad-image, not-found (image), disk-full, busy, runtime-failed
   */
  create(spec: SandboxSpec, note: (progress: ImageProgress) => void, signal: AbortSignal): Promise<void>;

  /** Ends and removes all of it: processes, file system, namespaces. Content when it is gone already. */
  remove(id: SandboxId, signal: AbortSignal): Promise<void>;

  /** Freezes every process in it, or lets them go on. Same twice is same once. @throws {Failure} not-found */
  pause(id: SandboxId, paused: boolean, signal: AbortSignal): Promise<void>;

  /** Every sandbox of this node, also those that earlier runs of the daemon left. */
  list(signal: AbortSignal): Promise<readonly FoundSandbox[]>;

  /** @throws {Failure} not-found */
  stats(id: SandboxId, signal: AbortSignal): Promise<SandboxStats>;

  /** Output of `command`, of which at most the last 10 MB are kept. @throws {Failure} not-found */
  logs(id: SandboxId, options: LogsOptions, signal: AbortSignal): Promise<Readable>;

  /**
   * A byte stream to the resident inside, on which it answers HTTP/2 (`resident/protocol.ts`). One suffices for any number
   * of requests; several may be open. It ends with the sandbox, or when destroyed.
   * @throws {Failure} not-found, runtime-failed
   */
  open(id: SandboxId, signal: AbortSignal): Promise<Duplex>;

  /** The way in through which `create` looked at the walls, for the first who asks. Undefined: there is none, use `open`. */
  entered?(id: SandboxId): Inside | undefined;

  /** Lets go of what it made of an image that nobody has pushed any more. Content when there is nothing. */
  forgetImage?(image: PushedImage, signal: AbortSignal): Promise<void>;

  /**
   * Checks the walls of a running sandbox again: filter rules still there, the probe from inside still refused.
   * @returns what does not hold, in words; empty when all does
   */
  verify(id: SandboxId, signal: AbortSignal): Promise<readonly string[]>;
}
