/** The identity of a home. Its certificate is kept beside the key: not a secret, only dear to make. */

import { readFile } from "node:fs/promises";
import type { Random } from "../base/index.ts";
import { Failure } from "../core/index.ts";
import { type Identity, identityFromSeed } from "../network/index.ts";
import { type Home, openSeed, writeFileAtomic } from "../store/index.ts";

/** @throws {Failure} home-unusable, disk-full */
export async function openIdentity(home: Home, random: Random): Promise<Identity> {
  const seed = await openSeed(home, random);
  const kept = await readFile(home.certificate, "utf8").catch(() => undefined); // whatever is wrong with it, another is made
  const identity = await identityFromSeed(seed, kept);
  if (identity.certificate !== kept) await keep(home.certificate, identity.certificate);
  return identity;
}

async function keep(path: string, certificate: string): Promise<void> {
  try {
    await writeFileAtomic(path, certificate);
  } catch (error) {
    if (!(error instanceof Failure)) throw error; // a full disk: it is made again next time
  }
}
