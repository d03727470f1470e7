/** One SSH connection: OpenSSH's own `sshd -i`, on the stream. */

import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { Duplex } from "node:stream";
import { fileURLToPath } from "node:url";
import { Refusal } from "./refusal.ts";
import { sendSignal } from "./sessions.ts";

/** What the helper brings in (`helper/`). */
const HELPER = fileURLToPath(new URL("..", import.meta.url));
/** Of a C library that looks for users in `OWN_PASSWD` (`helper/own-passwd.ts`). */
export const LIBRARIES_OF_OWN_PASSWD = join(HELPER, "lib-passwd");
export const OWN_PASSWD = "/run/passwd";
/** Of what sshd complains about, when it does not come up. */
const MAX_COMPLAINT_LENGTH = 300;

export interface Sshd {
  /** Says who it is already. */
  readonly duplex: Duplex;
  end(): void;
}

/**
 * Resolves when it has begun to speak.
 * @param folder where `PUT /ssh` wrote its configuration
 * @param program how sshd is started, as argv; undefined: out of the helper
 * @throws {Refusal} not-supported
 */
export async function startSshd(folder: string, program: readonly string[] | undefined): Promise<Sshd> {
  const configuration = join(folder, "sshd_config");
  if (!existsSync(configuration)) throw new Refusal("not-supported", "ssh was not set up in this sandbox");
  const [file = "", ...args] = program ?? borrowed();
  const child = spawn(file, [...args, "-i", "-e", "-f", configuration], {
    cwd: "/",
    env: { PATH: "/usr/bin:/bin", ...libraries() },
    detached: true,
    stdio: ["pipe", "pipe", "pipe"],
  });
  child.stdin.on("error", () => {}); // it hung up; its output says the rest
  await untilItSpeaks(child);
  return {
    duplex: Duplex.from({ readable: child.stdout, writable: child.stdin }),
    end: () => sendSignal(-(child.pid ?? 0), "SIGTERM"),
  };
}

async function untilItSpeaks(child: ChildProcessWithoutNullStreams): Promise<void> {
  let complaint = "";
  child.stderr.on("data", (bytes: Buffer) => {
    complaint = `${complaint}${bytes.toString("utf8")}`.slice(-MAX_COMPLAINT_LENGTH);
  });
  await new Promise<void>((resolve, reject) => {
    const fail = (why: string) => reject(new Refusal("not-supported", `sshd did not start: ${why}`));
    child.stdout.once("readable", resolve);
    child.once("error", ({ message }) => fail(message));
    child.once("close", () => fail(complaint.trim()));
  });
}

/** By our own loader, with our own libraries. `-r`: it shall not start itself again, without them. */
function borrowed(): readonly string[] {
  const sshd = join(HELPER, "bin/sshd");
  if (!existsSync(sshd)) throw new Refusal("not-supported", "the owner's machine has no OpenSSH server to lend");
  const sessions = sessionPrograms().flatMap(([option, path]) => ["-o", `${option}=${path}`]);
  const own = sessions.length === 0 ? ["-r"] : sessions;
  return [join(HELPER, "lib/ld.so"), "--library-path", libraryPath(), sshd, ...own];
}

/** Where whoever we are has no row, in an /etc that cannot be written to, sshd finds one in a file of ours. */
function libraryPath(): string {
  const own = existsSync(OWN_PASSWD) && process.getuid?.() !== 0;
  return own ? `${LIBRARIES_OF_OWN_PASSWD}:${join(HELPER, "lib")}` : join(HELPER, "lib");
}

/** OpenSSH 9.8 and newer starts a program of its own for each connection. */
function sessionPrograms(): readonly (readonly [option: string, path: string])[] {
  const all = [
    ["SshdSessionPath", join(HELPER, "libexec/sshd-session")],
    ["SshdAuthPath", join(HELPER, "libexec/sshd-auth")],
  ] as const;
  return all.filter(([, path]) => existsSync(path));
}

/** Those are started by their own names, so they learn of our libraries this way; what they start does not. */
function libraries(): Record<string, string> {
  return sessionPrograms().length === 0 ? {} : { LD_LIBRARY_PATH: libraryPath() };
}
