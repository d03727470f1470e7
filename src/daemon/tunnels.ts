/**
 * Opens `CONNECT` streams: who may have which kind is decided where routes are (`access/`), what is behind
 * each kind comes from the rooms.
 */

import type { Duplex } from "node:stream";
import { admitConnect, type ConnectTarget, nothingHere } from "../access/index.ts";
import { isAbort, type Log } from "../base/index.ts";
import { type Caller, Failure, type Role } from "../core/index.ts";
import type { Tunnel } from "../network/index.ts";

/** One kind of byte tunnel. */
export interface TunnelKind extends ConnectTarget {
  /**
   * Makes ready what is behind it; the result is called once the other end has been told that it is open.
   * @param rest what follows the kind in the target
   * @param signal aborts when the caller leaves
   * @throws {Failure} what the caller is told
   */
  open(rest: string, caller: Caller, signal: AbortSignal): Promise<(stream: Duplex) => void>;
}

export interface TunnelsDeps {
  readonly kinds: readonly TunnelKind[];
  readonly roleOf: (caller: Caller) => Role;
  readonly log: Log;
}

export function tunnelOpener({ kinds, roleOf, log }: TunnelsDeps): (tunnel: Tunnel) => void {
  const open = async (tunnel: Tunnel) => {
    const { row, rest } = admitConnect(kinds, tunnel.target, roleOf(tunnel.caller));
    const carry = await row.open(rest, tunnel.caller, tunnel.gone);
    carry(tunnel.accept());
  };
  return (tunnel) => {
    open(tunnel).catch((error: unknown) => {
      if (isAbort(error, tunnel.gone)) return; // nobody is there to be told
      if (!(error instanceof Failure)) log.error("opening a tunnel failed", { error });
      tunnel.refuse(error instanceof Failure ? error : nothingHere());
    });
  };
}
