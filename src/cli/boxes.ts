/** Sandboxes on the command line: the options that ask for one, how it goes, and how one reads. */

import type { Client } from "../client/index.ts";
import { cleanText, formatDuration, parseCores, parseDuration, parseSize } from "../core/light.ts";
import type { Box, BoxProgress, TouchRequest } from "../sandbox/index.ts";
import {
  foldReasons,
  type GpuWords,
  parseBoxName,
  parseGpuWish,
  parseImage,
  type PassedOver,
} from "../sandbox/light.ts";
import type { Option } from "./command.ts";
import { formatDecimalBytes } from "./format.ts";
import { formatTime } from "./grants.ts";
import type { Io } from "./io.ts";
import { wholeNumber } from "./options.ts";
import { lastOf } from "./steps.ts";

/** What the options below make of the words. */
export interface WishFlags {
  readonly image?: string;
  readonly cpus?: number;
  readonly memory?: number;
  readonly disk?: number;
  readonly ttl?: number;
  readonly ports?: number;
  readonly name?: string;
  readonly near?: boolean;
  /** `true` where it stood alone. Undefined in it: none. */
  readonly gpu?: true | { readonly wish: GpuWords | undefined };
  readonly profile?: "strict" | "dev";
  readonly network?: "none" | "internet";
}

export const wishOptions: readonly Option[] = [
  { flags: "--image <image>", summary: "as in debian:bookworm (what the node has by default)", parse: parseImage },
  { flags: "--cpus <number>", summary: "cores, as in 2 or 0.5", parse: parseCores },
  { flags: "--memory <size>", summary: "as in 4G", parse: parseSize },
  { flags: "--disk <size>", summary: "as in 10G", parse: parseSize },
  { flags: "--ttl <duration>", summary: "how long it lives, as in 8h (2h)", parse: parseDuration },
  { flags: "--ports <number>", summary: "how many TCP ports to open here", parse: wholeNumber("--ports", 0, 1_000) },
  { flags: "--name <name>", summary: "what to call it (two words)", parse: parseBoxName },
  { flags: "--near", summary: "on the nearest joined node that fits" },
  {
    flags: "--gpu [wish]",
    summary: "with a GPU: any, how many (2), at least so large (12G), which ('RTX 4090'), or none",
    parse: (text) => ({ wish: parseGpuWish(text) }),
  },
  {
    flags: "--profile <profile>",
    summary: "strict: one user, read-only; dev: root inside",
    choices: ["strict", "dev"],
  },
  { flags: "--network <kind>", summary: "none, or the filtered internet", choices: ["none", "internet"] },
];

/** What was typed, and no more: the rest is for the node to choose. */
export function wishOf(flags: WishFlags): TouchRequest {
  const { image, cpus, memory, disk, ttl, ports, name, near, gpu, profile, network } = flags;
  const found = {
    ...{ image, cpus, ports, name, near, profile, network },
    memoryBytes: memory,
    diskBytes: disk,
    lifetimeMs: ttl,
    gpu: gpu === true ? { count: 1 } : gpu?.wish,
  };
  return Object.fromEntries(Object.entries(found).filter(([, value]) => value !== undefined)) as TouchRequest;
}

/** Starts one, and says on the way how it goes and which nodes were passed over. */
export async function startBox(client: Client, request: TouchRequest, io: Io): Promise<Box> {
  io.progress(request.node === undefined ? "asking the joined nodes what they have" : `reaching ${request.node}`);
  const passedOver: PassedOver[] = [];
  const box = await lastOf(client.touch(request, io.signal), (progress) => {
    const { node, passedOver: why } = progress;
    if (why === undefined) io.progress(describe(progress));
    else passedOver.push({ node: cleanText(node, 64), why: cleanText(why, 300) });
  });
  for (const line of foldReasons(passedOver)) io.err(`not on ${line}`, "dim"); // a failure lists them itself
  return box;
}

function describe({ node, create }: BoxProgress): string {
  const place = cleanText(node, 64);
  switch (create?.step) {
    case undefined:
      return `asking ${place}`;
    case "admitted":
      return `${place} has room for it`;
    case "pulling":
      return `${place} fetches ${cleanText(create.image ?? "the image", 100)}${amounts(create)}`;
    case "starting":
      return `${place} starts it`;
    case "verifying":
      return `${place} checks its walls`;
  }
}

function amounts({ layers, bytes }: NonNullable<BoxProgress["create"]>): string {
  const parts = [
    ...(layers === undefined ? [] : [`layer ${layers.done} of ${layers.all}`]),
    ...(bytes === undefined ? [] : [`${formatDecimalBytes(bytes.done)} of ${formatDecimalBytes(bytes.all)}`]),
  ];
  return parts.length === 0 ? "" : `: ${parts.join(", ")}`;
}

/** `17:40` where that is within a day, else with the date. */
export function formatEnd(expires: number, now: number): string {
  const text = formatTime(expires);
  return Math.abs(expires - now) < 20 * 3_600_000 ? text.slice(-5) : text;
}

/** `in 1h25m`, to the minute. */
export function formatLeft(expires: number, now: number): string {
  const minutes = Math.round((expires - now) / 60_000);
  return minutes < 1 ? "now" : `in ${formatDuration(minutes * 60_000)}`;
}

/** `running`, or with why not. */
export function formatState({ sandbox, reach }: Pick<Box, "sandbox" | "reach">): string {
  const { state, reason } = sandbox;
  const words = reason === undefined || state === "running" ? state : `${state}: ${cleanText(reason, 100)}`;
  return reach === "lost" ? `${words}? (its node does not answer)` : words;
}

/** `port 1   127.0.0.1:40001 -> box:40001`, and where a browser finds it. */
export function portLines({ ports, sandbox }: Box): readonly string[] {
  return ports.flatMap(({ host, local, internal, url }, index) => [
    `port ${index + 1}   ${host}:${local} -> ${sandbox.name}:${internal}`,
    ...(url === undefined ? [] : [`url ${index + 1}    ${url}`]),
  ]);
}

/** How `ssh` finds it. */
export function sshCommand({ sandbox }: Pick<Box, "sandbox">): string {
  return `ssh ${sandbox.name}.p2prc`;
}

/** `1 sandbox`, `2 sandboxes`. */
export function sandboxCount(count: number): string {
  return `${count} sandbox${count === 1 ? "" : "es"}`;
}

/** The fields of a box in `--json`, under the path where it stands. */
export function boxFields(path: string): Readonly<Record<string, string>> {
  const fields = {
    node: "id and name of the node it is on",
    sandbox:
      "id, name, guest, state, reason, runtime, image, profile, cpus, memoryBytes, diskBytes, network, gpus, ports, published, made, expires, endsSoon, user, hostKey, sshProblem",
    reach: "known, or lost: its node does not answer, and this is what was last known",
    ports: "internal (inside), host and local (here), url",
    sshPort: "where ssh finds it on 127.0.0.1",
  };
  return Object.fromEntries(Object.entries(fields).map(([field, meaning]) => [`${path}${field}`, meaning]));
}
