/** OpenSSH's server on this machine, which sandboxes borrow: where it is, and what to say where there is none. */

import { access, readFile } from "node:fs/promises";
import { basename } from "node:path";

export interface Sshd {
  readonly path: string;
  /** OpenSSH 9.8 and newer: what it starts itself for each connection. */
  readonly sessions: readonly string[];
}

const PLACES = ["/usr/sbin/sshd", "/usr/bin/sshd", "/usr/local/sbin/sshd"];
const SESSION_FOLDERS = [
  "/usr/lib/openssh",
  "/usr/libexec/openssh",
  "/usr/lib/ssh",
  "/usr/libexec",
  "/usr/local/libexec",
];
const SESSION_NAMES = ["sshd-session", "sshd-auth"];

/** @param places where to look, best first */
export async function findSshd(places: readonly string[] = PLACES): Promise<Sshd | undefined> {
  const path = await firstThere(places);
  if (path === undefined) return undefined;
  const sessions = await Promise.all(
    SESSION_NAMES.map((name) => firstThere(SESSION_FOLDERS.map((folder) => `${folder}/${name}`))),
  );
  return { path, sessions: sessions.filter((found) => found !== undefined) };
}

/** What a person is told where there is no sshd. */
export async function sshdProblem(): Promise<string> {
  const release = await readFile("/etc/os-release", "utf8").catch(() => ""); // unknown
  const family = [.../^(?:ID|ID_LIKE)="?([^"\n]*)/gmu[Symbol.matchAll](release)].flatMap(([, ids = ""]) =>
    ids.split(" "),
  );
  const known = family.map((id) => commands.get(id)).find((command) => command !== undefined);
  const fix = known === undefined ? "install OpenSSH's server" : `\`${known}\``;
  return `OpenSSH's server is not installed, so guests get no ssh, scp or rsync into sandboxes: ${fix} (it need not run)`;
}

const commands = new Map([
  ["debian", "sudo apt-get install openssh-server"],
  ["fedora", "sudo dnf install openssh-server"],
  ["rhel", "sudo dnf install openssh-server"],
  ["suse", "sudo zypper install openssh-server"],
  ["arch", "sudo pacman -S openssh"],
  ["alpine", "sudo apk add openssh-server"],
]);

async function firstThere(paths: readonly string[]): Promise<string | undefined> {
  for (const path of paths) {
    const there = await access(path).then(
      () => true,
      () => false,
    );
    if (there) return path;
  }
  return undefined;
}

/** Where it stands in the helper. */
export function helperPath(program: string): string {
  return SESSION_NAMES.includes(basename(program)) ? `libexec/${basename(program)}` : `bin/${basename(program)}`;
}
