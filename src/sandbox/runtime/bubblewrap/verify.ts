/** Looks at the walls of a running sandbox, from inside and from outside, and says what does not hold. */

import type { Probe } from "../../resident/protocol.ts";
import type { SandboxRecord } from "./sandbox-folder.ts";
import { DEV_CAPABILITIES } from "./arguments.ts";

/** <linux/capability.h> */
const CAPABILITY_BITS: Readonly<Record<(typeof DEV_CAPABILITIES)[number], number>> = {
  CHOWN: 0,
  DAC_OVERRIDE: 1,
  FOWNER: 3,
  FSETID: 4,
  KILL: 5,
  SETGID: 6,
  SETUID: 7,
  NET_BIND_SERVICE: 10,
  SYS_CHROOT: 18,
};
const DEV_MASK = DEV_CAPABILITIES.reduce((mask, name) => mask | (1n << BigInt(CAPABILITY_BITS[name])), 0n);
/** SECCOMP_MODE_FILTER */
const FILTERED = "2";

/**
 * @param probe what the resident says; a guest may have taken its place, so it can only tell of a wall that is missing
 * @returns what does not hold, in words
 */
export function lookAtProbe({ users }: SandboxRecord, probe: Probe): readonly string[] {
  const allowed = users.many ? DEV_MASK : 0n;
  const broken: string[] = [];
  if (!within(probe.capEff, allowed))
    broken.push(`processes inside have capabilities that they should not: ${probe.capEff}`);
  if (!within(probe.capBnd, allowed)) broken.push(`processes inside can get capabilities: ${probe.capBnd}`);
  if (probe.seccomp !== FILTERED) broken.push("system calls are not filtered");
  if (probe.noNewPrivs !== "1") broken.push("programs inside can gain rights");
  if (mapsHostRoot(probe.uidMap)) broken.push("somebody inside is root of this machine");
  for (const [address, end] of Object.entries(probe.dials)) {
    if (end === "connected") broken.push(`the sandbox reaches ${address}, which is closed to it`);
  }
  return broken;
}

function within(mask: string, allowed: bigint): boolean {
  return /^[0-9a-f]+$/u.test(mask) && (BigInt(`0x${mask}`) & ~allowed) === 0n;
}

/** Lines `inside outside count`. Inside the second of two namespaces the first one's ids are shown: 0 is then not the host's. */
function mapsHostRoot(uidMap: string): boolean {
  return uidMap.split("\n").some((line) => /^\s*\d+\s+0\s+(?!1\s*$)\d+/u.test(line));
}
