/** The calls of an owner about what others have, and how they get here. */

import type { DoctorReply, GuestsReply, LendLimits, Offer, PanicReply, Sandbox, UsageReply } from "../sandbox/index.ts";
import type { ReachReply, RelayMode, RelayStatus } from "../nat/index.ts";
import { askJson } from "./exchange.ts";
import type { Exchange, Transport } from "./transport.ts";

export interface OwnerCalls {
  guests(signal: AbortSignal): Promise<GuestsReply>;
  /** `sandbox` is, here and below, its name, its id or the start of that. */
  pauseGuest(sandbox: string, signal: AbortSignal): Promise<Sandbox>;
  resumeGuest(sandbox: string, signal: AbortSignal): Promise<Sandbox>;
  kickGuest(sandbox: string, signal: AbortSignal): Promise<Sandbox>;
  /** Freezes every sandbox, closes the links of guests and stops lending; or lets all go on. */
  panic(on: boolean, signal: AbortSignal): Promise<PanicReply>;
  lendLimits(signal: AbortSignal): Promise<LendLimits>;
  /** Replaces all of them. */
  setLendLimits(limits: LendLimits, signal: AbortSignal): Promise<LendLimits>;
  usage(signal: AbortSignal): Promise<UsageReply>;
  /** Whether this machine can lend safely. */
  doctor(signal: AbortSignal): Promise<DoctorReply>;
  /** How others reach this node. */
  reach(signal: AbortSignal): Promise<ReachReply>;
  /** Whose links this node passes on, until its daemon ends. */
  setRelay(mode: RelayMode, signal: AbortSignal): Promise<RelayStatus>;
  /** What this node could lend now. */
  offer(signal: AbortSignal): Promise<Offer>;
}

export function ownerCalls(transport: Transport): OwnerCalls {
  const json = <T>(exchange: Exchange, signal: AbortSignal) => askJson<T>(transport, exchange, signal);
  const guestPath = (id: string, verb: string) => `/v1/guests/${encodeURIComponent(id)}/${verb}`;
  return {
    guests: (signal) => json({ method: "GET", path: "/v1/guests" }, signal),
    pauseGuest: (id, signal) => json({ method: "POST", path: guestPath(id, "pause") }, signal),
    resumeGuest: (id, signal) => json({ method: "POST", path: guestPath(id, "resume") }, signal),
    kickGuest: (id, signal) => json({ method: "POST", path: guestPath(id, "kick") }, signal),
    panic: (on, signal) => json({ method: "POST", path: "/v1/panic", body: { on } }, signal),
    lendLimits: (signal) => json({ method: "GET", path: "/v1/lend/limits" }, signal),
    setLendLimits: (body, signal) => json({ method: "PUT", path: "/v1/lend/limits", body }, signal),
    usage: (signal) => json({ method: "GET", path: "/v1/usage" }, signal),
    doctor: (signal) => json({ method: "GET", path: "/v1/doctor" }, signal),
    reach: (signal) => json({ method: "GET", path: "/v1/reach" }, signal),
    setRelay: (mode, signal) => json({ method: "POST", path: "/v1/relay", body: { mode } }, signal),
    offer: (signal) => json({ method: "GET", path: "/v1/offer" }, signal),
  };
}
