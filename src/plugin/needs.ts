/** What a plugin needs, against what a sandbox has: looked at before the first task, and told with the command that mends it. */

import { formatSize, parseSize } from "../core/index.ts";
import type { Plugin } from "./contract.ts";

/** A sandbox that a plugin is to run on. */
export interface Target {
  readonly id: string;
  readonly name: string;
  /** The name of its node here. */
  readonly node: string;
  readonly user: string;
  /** `ssh-ed25519 AAAA…` */
  readonly hostKey: string;
  readonly cpus: number;
  readonly memoryBytes: number;
  readonly gpus: number;
  readonly network: "none" | "internet";
  /** Those that it has already, inside. */
  readonly ports: readonly number[];
}

/** What a sandbox says of its inside. */
export interface Inside {
  readonly python: boolean;
  readonly apt: boolean;
  /** How many users there are; 1 where everybody is the same. */
  readonly users: number;
  /** Whether programs can be installed. */
  readonly writable: boolean;
}

/** For `sh -c` in any image; `readInside` makes sense of what it says. */
export const LOOK_INSIDE = `while read -r _ _ n; do echo "users $n"; done < /proc/self/uid_map
command -v python3 >/dev/null && echo python
command -v apt-get >/dev/null && echo apt
[ -w /usr ] && echo writable
exit 0`;

export function readInside(said: string): Inside {
  const lines = said.split("\n").map((line) => line.trim());
  const users = lines.flatMap((line) => (/^users \d+$/u.test(line) ? [Number(line.slice(6))] : []));
  return {
    python: lines.includes("python"),
    apt: lines.includes("apt"),
    users: users.reduce((sum, count) => sum + count, 0),
    writable: lines.includes("writable"),
  };
}

export interface Unmet {
  readonly why: string;
  /** What to type. */
  readonly fix: string;
}

/** apt drops its rights to `_apt`, and packages bring users of their own. */
const APT_USERS = 1_000;
const APT = /^\s*(?:-\s+)?(?:ansible\.builtin\.)?(?:apt|apt_key|apt_repository|package)\s*:/mu;
const INTERNET = /https?:\/\/(?!localhost|127\.)|\b(?:git clone|pip3? install|npm install)\b/u;

/** What the first P2PRC's plugins never say: read out of the playbook. */
export function needsOf(plugin: Pick<Plugin, "form" | "needs">, playbook: string): Plugin["needs"] {
  if (plugin.form === "manifest") return plugin.needs;
  const apt = APT.test(playbook);
  return { ...(apt ? { apt } : {}), ...(apt || INTERNET.test(playbook) ? { network: "internet" as const } : {}) };
}

export function unmetNeeds(needs: Plugin["needs"], target: Target, inside: Inside): readonly Unmet[] {
  const touch = `p2prc touch ${target.node}`;
  const unmet = [...sizesUnmet(needs, target, touch)];
  if (needs.network === "internet" && target.network === "none") {
    unmet.push({ why: "has no way to the internet", fix: `${touch} --network internet` });
  }
  if (needs.apt === true) unmet.push(...aptUnmet(inside, touch));
  return inside.python ? unmet : [...unmet, ...pythonUnmet(target, inside, touch)];
}

/** With apt, and a way to its mirror, it is brought before the first task. */
function pythonUnmet({ network }: Target, inside: Inside, touch: string): readonly Unmet[] {
  if (!canBringPython(inside)) {
    return [{ why: "has no python3, which Ansible works with", fix: `${touch} --image python:3-slim` }];
  }
  if (network === "internet") return [];
  return [{ why: "has no python3, and no way to where apt would fetch it", fix: `${touch} --network internet` }];
}

export function canBringPython(inside: Inside): boolean {
  return aptUnmet(inside, "").length === 0;
}

/** For `sh -c`: Ansible's modules want a Python, and images of systems seldom have one. */
export const BRING_PYTHON = `export DEBIAN_FRONTEND=noninteractive
apt-get -qq update >/dev/null && apt-get -qq install -y --no-install-recommends python3 >/dev/null`;

function sizesUnmet(needs: Plugin["needs"], target: Target, touch: string): readonly Unmet[] {
  const { cpus = 0, memory = "0K", gpus = 0 } = needs;
  const unmet: Unmet[] = [];
  if (target.cpus < cpus) unmet.push({ why: `has ${target.cpus} of ${cpus} cores`, fix: `${touch} --cpus ${cpus}` });
  if (target.memoryBytes < parseSize(memory)) {
    const why = `has ${formatSize(target.memoryBytes)} of ${memory} memory`;
    unmet.push({ why, fix: `${touch} --memory ${memory}` });
  }
  if (target.gpus < gpus) unmet.push({ why: `has ${target.gpus} of ${gpus} GPUs`, fix: `${touch} --gpu ${gpus}` });
  return unmet;
}

function aptUnmet({ apt, users, writable }: Inside, touch: string): readonly Unmet[] {
  const fix = `${touch} --image debian:bookworm --profile dev`;
  if (!apt) return [{ why: "has no apt", fix }];
  if (users < APT_USERS) return [{ why: "has a single user, and apt needs several", fix }];
  return writable ? [] : [{ why: "has programs that nothing can be added to", fix }];
}
