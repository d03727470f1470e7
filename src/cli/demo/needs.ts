/**
 * What the sandboxes of the demo need of this machine, and a bare Debian lacks: installed when root, else the exact command is
 * said. Elsewhere than on Linux there are none, and the demo goes without.
 */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { access } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { Failure } from "../../core/light.ts";
import type { Io } from "../io.ts";

interface Need {
  /** Debian's name. */
  readonly name: string;
  readonly program: string;
}

const NEEDS: readonly Need[] = [
  { name: "bubblewrap", program: "bwrap" },
  { name: "openssh-client", program: "ssh" },
  { name: "openssh-server", program: "sshd" },
];
/** Servers lie where an ordinary user's PATH does not lead. */
const SYSTEM_FOLDERS = ["/usr/sbin", "/sbin", "/usr/local/sbin"];
const INSTALL = ["install", "-y", "-qq", "--no-install-recommends"];

/** @returns whether there can be sandboxes @throws {Failure} not-supported, with the command that mends it */
export async function meetNeeds(io: Io): Promise<boolean> {
  const { machine, signal } = io;
  if (machine.platform !== "linux") return false;
  const missing = await missingOf(machine.environment);
  if (missing.length === 0) return true;
  const names = missing.map(({ name }) => name);
  const apt = (await isThere("/usr/bin/apt-get")) ? "/usr/bin/apt-get" : undefined;
  const command =
    apt === undefined ? `install ${names.join(", ")}` : `sudo apt-get ${INSTALL.join(" ")} ${names.join(" ")}`;
  const programs = missing.map(({ program }) => program).join(", ");
  const { stdout: user } = await machine.run("id", ["-u"]);
  if (apt === undefined || user.trim() !== "0") throw lacking(programs, command);
  io.err(`installing ${names.join(", ")}, which the sandboxes of the demo need`, "dim");
  io.progress("installing");
  if (await install(apt, names, signal)) return true;
  throw lacking(programs, command.replace("sudo ", ""));
}

function lacking(programs: string, command: string): Failure {
  return new Failure("not-supported", `the demo needs ${programs}, and this machine has none`, {
    hint: command.startsWith("install") ? command : `run \`${command}\``,
  });
}

async function missingOf(environment: Io["machine"]["environment"]): Promise<readonly Need[]> {
  const folders = [...(environment["PATH"] ?? "").split(delimiter), ...SYSTEM_FOLDERS];
  const found = await Promise.all(
    NEEDS.map(async ({ program }) => {
      const there = await Promise.all(folders.map((folder) => isThere(join(folder, program))));
      return there.includes(true);
    }),
  );
  return NEEDS.filter((_, index) => found[index] !== true);
}

/** A machine that was never updated knows no package at all. */
async function install(apt: string, names: readonly string[], signal: AbortSignal): Promise<boolean> {
  const words = [...INSTALL, ...names];
  return (
    (await run(apt, words, signal)) || ((await run(apt, ["update", "-qq"], signal)) && (await run(apt, words, signal)))
  );
}

/** A server that a package brings is not started: the demo needs the program, not a service (RUNLEVEL, `man invoke-rc.d`). */
async function run(file: string, words: readonly string[], signal: AbortSignal): Promise<boolean> {
  const env = { ...NONINTERACTIVE, RUNLEVEL: "1" };
  const child = spawn(file, words, { stdio: "ignore", signal, env });
  const [code] = (await once(child, "close")) as [number | null];
  return code === 0;
}

const NONINTERACTIVE = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", DEBIAN_FRONTEND: "noninteractive", LANG: "C" };

async function isThere(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}
