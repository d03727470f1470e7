/** What an engine says of itself (`GET /info`), as the walls that it can make and what a person should know of it. */

import type { RuntimeFacts } from "../runtime.ts";

/** The part of the engine's answer that matters. */
export interface EngineInfo {
  readonly ServerVersion?: string;
  readonly OSType?: string;
  readonly Driver?: string;
  readonly SecurityOptions?: readonly string[] | null;
  readonly MemoryLimit?: boolean;
  readonly PidsLimit?: boolean;
  readonly CpuCfsQuota?: boolean;
  readonly Runtimes?: Readonly<Record<string, unknown>> | null;
}

export interface EngineSurroundings {
  readonly info: EngineInfo;
  readonly podman: boolean;
  /** Whether a container with a bounded layer could be made. */
  readonly storageQuota: boolean;
  /** Whether `nft` is there to write rules with. */
  readonly filters: boolean;
  /** Whether the socket is the engine's own, which only root and the docker group may use. */
  readonly rootful: boolean;
}

export function engineFacts({ info, podman, storageQuota, filters, rootful }: EngineSurroundings): RuntimeFacts {
  const options = new Set((info.SecurityOptions ?? []).map((text) => text.replace(/^name=/u, "").replace(/,.*$/u, "")));
  const userNamespace = options.has("userns") || options.has("rootless");
  const walls = {
    userNamespace,
    seccomp: options.has("seccomp"),
    memoryLimit: info.MemoryLimit === true,
    pidsLimit: info.PidsLimit === true,
    cpuLimit: info.CpuCfsQuota === true,
    networkFilter: filters,
    diskQuota: storageQuota ? "engine" : "watched",
    uidRange: userNamespace,
  } as const;
  const facts = { kind: podman ? "podman" : "docker", version: info.ServerVersion ?? "unknown", walls } as const;
  const profiles = userNamespace ? (["strict", "dev"] as const) : (["strict"] as const);
  return { ...facts, profiles, images: "registry", problems: problems({ ...facts, rootful }) };
}

function problems({ kind, walls, rootful }: Pick<RuntimeFacts, "kind" | "walls"> & { readonly rootful: boolean }) {
  const engine = kind === "podman" ? "Podman" : "Docker";
  const remap =
    kind === "podman" ? "" : 'turn on userns-remap ({"userns-remap": "default"} in /etc/docker/daemon.json) or ';
  const cgroups = "let it use cgroups v2 with delegation (https://rootlesscontaine.rs/getting-started/common/cgroup2/)";
  const known: readonly (readonly [applies: boolean, text: string])[] = [
    [
      !walls.userNamespace,
      `${engine} runs sandboxes as root of this machine's kernel: ${remap}use it rootless. Until then only sandboxes of profile strict are made.`,
    ],
    [!walls.seccomp, `${engine} was built or started without seccomp, so sandboxes may make any system call.`],
    [!walls.memoryLimit, `${engine} cannot limit memory here: ${cgroups}.`],
    [!walls.pidsLimit, `${engine} cannot limit processes here: ${cgroups}.`],
    [!walls.cpuLimit, `${engine} cannot limit CPU time here: ${cgroups}.`],
    [!walls.networkFilter, "nft is not installed, so sandboxes get no network: `apt install nftables`."],
    [
      walls.diskQuota === "watched",
      `${engine} has no disk quota on this file system (it takes overlay2 on xfs with pquota, btrfs or zfs): the disk of sandboxes is watched every 2 s instead.`,
    ],
    [
      kind === "podman",
      'Podman shows this machine\'s /etc/hosts to its guests, unless containers.conf says `base_hosts_file = "none"`.',
    ],
    [
      rootful && kind === "docker",
      "Whoever may use Docker's socket (group docker) is as good as root on this machine, and so is this node's daemon.",
    ],
  ];
  return known.flatMap(([applies, text]) => (applies ? [text] : []));
}
