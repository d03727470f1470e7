/** What a sandbox's walls are like from inside, against what was asked of the engine. */

import type { Probe } from "../../resident/protocol.ts";
import type { Profile } from "../runtime.ts";
import { DEV_CAPABILITIES } from "./sandbox-request.ts";

export interface ExpectedWalls {
  readonly profile: Profile;
  readonly userNamespace: boolean;
  readonly seccomp: boolean;
  /** gVisor's own kernel tells of no filter, since the guest never meets the host's. */
  readonly gvisor: boolean;
}

/** Their bits (linux/capability.h). */
const BITS: Readonly<Record<string, bigint>> = {
  CHOWN: 0n,
  DAC_OVERRIDE: 1n,
  FOWNER: 3n,
  FSETID: 4n,
  KILL: 5n,
  SETGID: 6n,
  SETUID: 7n,
  NET_BIND_SERVICE: 10n,
  SYS_CHROOT: 18n,
};
const SECCOMP_FILTER = "2";
/** Inside is as outside: there is no user namespace. */
const IDENTITY = /^0\s+0\s/u;

/** In words; empty when all is as it should be. */
export function insideFaults(probe: Probe, expected: ExpectedWalls): readonly string[] {
  const reached = Object.entries(probe.dials).filter(([, outcome]) => outcome === "connected");
  const kernel = expected.gvisor ? [] : kernelFaults(probe, expected);
  return [
    ...capabilityFaults(probe, expected),
    ...kernel,
    ...reached.map(([address]) => `it gets through to this machine at ${address}`),
  ];
}

function capabilityFaults(probe: Probe, { profile }: ExpectedWalls): readonly string[] {
  const allowed = profile === "strict" ? [] : DEV_CAPABILITIES;
  const mask = allowed.reduce((sum, name) => sum | (1n << (BITS[name] ?? 63n)), 0n);
  const beyond = [probe.capEff, probe.capBnd].filter((set) => set === "" || (BigInt(`0x${set}`) & ~mask) !== 0n);
  return [
    ...beyond.map((set) => `it has capabilities beyond its own: ${set}`),
    ...(profile === "strict" && probe.uid === 0 ? ["it runs as root"] : []),
  ];
}

function kernelFaults(probe: Probe, { seccomp, userNamespace }: ExpectedWalls): readonly string[] {
  return [
    ...(seccomp && probe.seccomp !== SECCOMP_FILTER ? ["no seccomp filter stands"] : []),
    ...(probe.noNewPrivs === "1" ? [] : ["its programs may gain privileges"]),
    ...(userNamespace && IDENTITY.test(probe.uidMap) ? ["its root is root of this machine"] : []),
  ];
}
