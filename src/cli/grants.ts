/** Grants on the command line: the options that make one, and how one reads. */

import { formatDuration, formatSize, type GrantWords } from "../core/light.ts";
import type { GrantRow } from "../access/index.ts";
import type { Option } from "./command.ts";

type Grant = GrantRow["grant"];

export const grantOptions: readonly Option[] = [
  { flags: "--sandboxes <number>", summary: "how many at once (2)" },
  { flags: "--cpus <number>", summary: "cores in all (2)" },
  { flags: "--memory <size>", summary: "memory in all, as in 8G (2G)" },
  { flags: "--disk <size>", summary: "disk in all, as in 20G (20G)" },
  { flags: "--gpu <number>", summary: "GPUs in all (0)" },
  { flags: "--lifetime <duration>", summary: "how long one sandbox may live, as in 8h (8h)" },
  { flags: "--network <kind>", summary: "none, or the filtered internet (internet)", choices: ["none", "internet"] },
  { flags: "--ports <number>", summary: "ports reached in sandboxes at once (8)" },
  { flags: "--publish", summary: "ports may be opened to the public on this node" },
  { flags: "--relay", summary: "this node passes links on for the guest, which is the default" },
  { flags: "--no-relay", summary: "only as it does for strangers" },
];

/** The fields of a grant in `--json`. */
export const grantFields = {
  kind: "guest, or own: another machine of the same person, for whom nothing is a limit",
  sandboxes: "at once",
  cpus: "cores in all",
  memoryBytes: "memory in all",
  diskBytes: "disk in all",
  gpus: "GPUs in all",
  maxLifetimeMs: "how long one sandbox may live",
  network: "none or internet",
  ports: "ports reached at once",
  publish: "whether ports may be opened to the public",
  relay: "whether links are passed on, more than for strangers",
  until: "when it ends, in milliseconds since 1970; absent: until it is revoked",
} as const;

export type { GrantWords };

/** `2 sandboxes, 2 cores, 2GiB memory, 20GiB disk, for 8h each, internet`. */
export function formatGrant(grant: Grant): string {
  if (grant.kind === "own") return "everything (a machine of one's own)";
  return [
    `${grant.sandboxes} sandboxes`,
    `${grant.cpus} cores`,
    `${formatSize(grant.memoryBytes)} memory`,
    `${formatSize(grant.diskBytes)} disk`,
    ...(grant.gpus > 0 ? [`${grant.gpus} GPUs`] : []),
    `${formatDuration(grant.maxLifetimeMs)} each`,
    grant.network === "none" ? "no network" : "filtered internet",
    ...(grant.publish ? ["public ports"] : []),
    ...(grant.relay ? [] : ["no relay"]),
  ].join(", ");
}

/** `2026-12-31 18:00`, in the time of this machine. */
export function formatTime(ms: number): string {
  const date = new Date(ms);
  const two = (number: number) => String(number).padStart(2, "0");
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${two(date.getHours())}:${two(date.getMinutes())}`;
}

/** To follow the word "until". */
export function formatUntil(until: number | undefined): string {
  return until === undefined ? "it is revoked" : formatTime(until);
}
