/**
 * The key with which this person's `ssh` shows itself in sandboxes. It is derived from the seed of the home, so that there
 * is one secret to keep and the file can be made again; from what is written here the seed cannot be had (RFC 5869).
 */

import { hkdfSync } from "node:crypto";
import { join } from "node:path";
import { writeFileAtomic } from "../../store/index.ts";
import { opensshKey } from "./openssh-key.ts";

export interface ClientKey {
  /** Of the private half, 0600. */
  readonly path: string;
  /** `ssh-ed25519 AAAA…` */
  readonly publicLine: string;
}

/** Names the purpose, so that no other key of the home is ever the same. */
const PURPOSE = "p2prc ssh client key v1";

/** Writes the file anew each time: a damaged or changed one is of no use. @throws {Failure} disk-full */
export async function openClientKey({
  home,
  seed,
}: {
  readonly home: string;
  readonly seed: Uint8Array;
}): Promise<ClientKey> {
  const derived = new Uint8Array(hkdfSync("sha256", seed, Buffer.alloc(0), PURPOSE, 36));
  const { publicLine, privateFile } = opensshKey(derived.subarray(0, 32), derived.subarray(32));
  const path = join(home, "ssh_key");
  await writeFileAtomic(path, privateFile);
  return { path, publicLine };
}
