/**
 * The /etc of a sandbox without an image: the few files that programs ask for, made new, and from the owner's only what
 * is the same on every machine (certificates, where libraries are, which editor `vi` is).
 */

import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Profile } from "../runtime.ts";

/** Bound read-only from the owner's system, where they are there. */
export const SHARED_ETC = [
  "/etc/alternatives",
  "/etc/ca-certificates",
  "/etc/ca-certificates.conf",
  "/etc/ld.so.cache",
  "/etc/ld.so.conf",
  "/etc/ld.so.conf.d",
  "/etc/localtime",
  "/etc/mime.types",
  "/etc/pki/ca-trust",
  "/etc/pki/tls/certs",
  "/etc/protocols",
  "/etc/services",
  "/etc/ssl/certs",
  "/etc/ssl/openssl.cnf",
  "/etc/terminfo",
] as const;

/** In `dev` the first user is root; where there is only one id, and in `strict`, it is `guest`. */
export const GUEST_ID = 1000;

export interface EtcWords {
  readonly name: string;
  readonly profile: Profile;
  /** Undefined: no network, no names. */
  readonly nameserver: string | undefined;
}

export function etcFiles({ name, nameserver }: EtcWords): Readonly<Record<string, string>> {
  return {
    passwd: [
      "root:x:0:0:root:/root:/bin/bash",
      "sshd:x:74:74:sshd:/run/sshd:/usr/sbin/nologin",
      `guest:x:${GUEST_ID}:${GUEST_ID}:guest:/home/guest:/bin/bash`,
      "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin",
    ].join("\n"),
    group: ["root:x:0:", "tty:x:5:", "sshd:x:74:", `guest:x:${GUEST_ID}:`, "nogroup:x:65534:"].join("\n"),
    shadow: "",
    hosts: ["127.0.0.1 localhost", "::1 localhost ip6-localhost ip6-loopback", `127.0.1.1 ${name}`].join("\n"),
    hostname: name,
    "resolv.conf": nameserver === undefined ? "" : `nameserver ${nameserver}`,
    "nsswitch.conf": "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nprotocols: files\nservices: files",
    profile: "umask 022\nPS1='\\u@\\h:\\w\\$ '",
  };
}

/** Into a folder that nobody inside can write in yet. */
export async function writeEtc(folder: string, words: EtcWords): Promise<readonly string[]> {
  await mkdir(folder, { recursive: true, mode: 0o755 });
  await mkdir(join(folder, "ssl"), { mode: 0o755, recursive: true });
  const files = Object.entries(etcFiles(words));
  await Promise.all(files.map(([name, text]) => writeFile(join(folder, name), `${text}\n`, { mode: 0o644 })));
  return [folder, join(folder, "ssl"), ...files.map(([name]) => join(folder, name))];
}
