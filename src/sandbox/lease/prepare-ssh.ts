/** Makes a fresh sandbox ready for its guest's SSH key, with a host key that the lease remembers. */

import { Failure } from "../../core/index.ts";
import type { Inside } from "../inside/inside.ts";
import type { Lease } from "./lease.ts";

/** What SSH needs inside, or why it cannot be had. */
export type SshFacts = Pick<Lease, "hostKey" | "sshProblem"> & Partial<Pick<Lease, "user">>;

/** Rejects with what ends the sandbox as well; that SSH is missing does not. */
export async function prepareSsh(inside: Inside, { hostSeed, sshKey }: Lease, signal: AbortSignal): Promise<SshFacts> {
  try {
    const { hostKey, user } = await inside.setUpSsh({ hostSeed, authorizedKeys: [sshKey] }, signal);
    return { hostKey, user, sshProblem: null };
  } catch (error) {
    if (!(error instanceof Failure) || error.code !== "not-supported") throw error;
    return { hostKey: null, sshProblem: error.message };
  }
}
