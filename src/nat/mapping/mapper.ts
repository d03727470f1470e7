/**
 * What opens ports on one router, in one of the ways that routers know.
 *
 * A router may lie, forget, or be rebooted. Nobody believes what is mapped until other nodes got through.
 */

import type { Clock, Random } from "../../base/index.ts";
import { canonicalAddress, classifyAddress, Failure } from "../../core/index.ts";
import type { Gateway } from "./gateways.ts";
import type { Method } from "./state.ts";

export type Protocol = "tcp" | "udp";

export interface Wish {
  readonly protocol: Protocol;
  /** Here. The same outside where it is free there. */
  readonly port: number;
}

export interface Lease extends Wish {
  /** The port outside. */
  readonly external: number;
  /** The address outside, where the router says one. */
  readonly address: string | undefined;
  /** 0: until it is removed. */
  readonly lifetimeS: number;
  /** What the method needs to renew or remove it. */
  readonly handle: string;
}

export interface Mapper extends AsyncDisposable {
  readonly method: Method;
  readonly gateway: string;
  /**
   * Opens a port, or renews `before`.
   * @throws {Failure} not-allowed: the router will not; unreachable: it does not answer; bad-reply
   */
  map(wish: Wish, before: Lease | undefined, signal: AbortSignal): Promise<Lease>;
  /** Content when it is gone already. @throws {Failure} like map */
  unmap(lease: Lease, signal: AbortSignal): Promise<void>;
  /** Whether the router still has it. Quick, and cheap enough for every minute. @throws {Failure} unreachable */
  holds(lease: Lease, signal: AbortSignal): Promise<boolean>;
}

export interface MapperDeps {
  readonly gateway: Gateway;
  /** The address of this machine that is to be reached. */
  readonly own: string;
  readonly clock: Clock;
  readonly random: Random;
}

/** @throws {Failure} unreachable: the router does not know this way */
export type OpenMapper = (deps: MapperDeps, signal: AbortSignal) => Promise<Mapper>;

/** PCP recommends no more than a day, NAT-PMP two hours: what a crash leaves behind is gone after this. */
export const LIFETIME_S = 7_200;

/** The port that a router says it opened. @throws {Failure} bad-reply: there is no such port */
export function portOutside(port: number): number {
  if (Number.isInteger(port) && port >= 1 && port <= 65_535) return port;
  throw new Failure("bad-reply", "the router does not say which port it mapped");
}

/** The address that a router says it has. Without a connection it says 0.0.0.0, or nothing: undefined. */
export function addressOutside(text: string | undefined): string | undefined {
  const address = canonicalAddress(text ?? "");
  return address === undefined || classifyAddress(address) === "reserved" ? undefined : address;
}
