/**
 * What carries the packets of a sandbox between its network namespace and the world, as an ordinary program of the
 * sandbox's own user: pasta, or slirp4netns. Neither opens a port, and neither lets anybody reach this machine's loopback.
 */

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import type { Clock } from "../../../base/index.ts";
import { Failure } from "../../../core/index.ts";
import { NAMESERVER } from "./filter.ts";
import { identifyProcess, type ProcessId } from "./process-id.ts";
import type { Tools } from "./tools.ts";
import type { Users } from "./uid-ranges.ts";

export interface UplinkDeps {
  readonly tools: Tools;
  readonly clock: Clock;
}

/** slirp4netns answers names at this address of its own network. */
const SLIRP_NAMESERVER = "10.0.2.3";
const READY_WITHIN_MS = 5_000;
const LOOK_EVERY_MS = 4;

export function nameserverOf({ pasta }: Tools): string {
  return pasta === undefined ? SLIRP_NAMESERVER : NAMESERVER;
}

export interface Uplink {
  readonly id: ProcessId;
  /** Resolves when there is a way out. @throws {Failure} runtime-failed */
  ready(signal: AbortSignal): Promise<void>;
}

/** @param pid a process in the namespaces that waits there */
export async function startUplink(
  pid: number,
  { outer, outerGroup }: Users,
  { tools, clock }: UplinkDeps,
): Promise<Uplink> {
  const [file, ...args] = commandLine(pid, tools);
  const identity = process.getuid?.() === 0 ? { uid: outer, gid: outerGroup } : {};
  const child = spawn(file, args, {
    ...identity,
    cwd: "/",
    env: {},
    detached: true,
    stdio: ["ignore", "ignore", "pipe"],
  });
  const said = lastLine(child);
  const ended = once(child, "exit").then(async () => {
    throw new Failure("runtime-failed", `the network of the sandbox did not start: ${await said()}`, {
      hint: "see that this machine itself has a way to the internet",
    });
  });
  ended.catch(() => {}); // most of the time nobody is waiting for it
  child.unref();
  const id = await identifyProcess(child.pid ?? 0);
  if (id === undefined) return await ended;
  return { id, ready: (signal) => Promise.race([hasWayOut(pid, clock, signal), ended]) };
}

function commandLine(pid: number, { pasta, slirp4netns }: Tools): readonly [string, ...string[]] {
  const user = `/proc/${pid}/ns/user`;
  const net = `/proc/${pid}/ns/net`;
  if (pasta !== undefined) {
    const closed = [
      "--no-map-gw",
      ...["--tcp-ports", "--udp-ports", "--tcp-ns", "--udp-ns"].flatMap((way) => [way, "none"]),
    ];
    const quiet = ["--foreground", "--quiet", "--no-dhcp", "--no-dhcpv6", "--no-ra"];
    const inside = [
      "--config-net",
      "--ns-ifname",
      "eth0",
      "--dns-forward",
      NAMESERVER,
      "--userns",
      user,
      "--netns",
      net,
    ];
    return [pasta, ...quiet, ...closed, ...inside];
  }
  if (slirp4netns === undefined) throw new Failure("not-supported", "neither pasta nor slirp4netns is installed");
  const inside = ["--userns-path", user, "--netns-type", "path", net, "eth0"];
  return [slirp4netns, "--configure", "--mtu", "65520", "--disable-host-loopback", ...inside];
}

/** A default route is the last that either of them makes. */
async function hasWayOut(pid: number, clock: Clock, signal: AbortSignal): Promise<void> {
  for (const started = clock.now(); clock.now() - started < READY_WITHIN_MS; await clock.sleep(LOOK_EVERY_MS, signal)) {
    if (await hasDefaultRoute(pid)) return;
  }
  throw new Failure("runtime-failed", `the network of the sandbox was not there within ${READY_WITHIN_MS / 1000} s`);
}

/** proc(5): `interface destination gateway …` in hexadecimal; for IPv6 `destination prefix …` and the interface last. */
async function hasDefaultRoute(pid: number): Promise<boolean> {
  const [four, six] = await Promise.all(
    ["route", "ipv6_route"].map((file) => readFile(`/proc/${pid}/net/${file}`, "utf8").catch(() => "")), // it has ended
  );
  return /^eth0\s+00000000\s/mu.test(four ?? "") || /^0{32} 00 .*\seth0$/mu.test(six ?? "");
}

const MAX_SAID = 4_096;

function lastLine(child: ChildProcess): () => Promise<string> {
  let text = "";
  child.on("error", ({ message }) => (text = message));
  child.stderr?.on("data", (bytes: Buffer) => (text = `${text}${bytes.toString("utf8")}`.slice(-MAX_SAID)));
  const over = child.stderr === null ? Promise.resolve() : once(child.stderr, "close").then(() => undefined);
  return async () => {
    await over;
    return text.trim().split("\n").at(-1) ?? "it said nothing";
  };
}
