/** p2prc ssh: enter a sandbox with the `ssh` of this machine. */

import { join } from "node:path";
import { Scope } from "../../base/index.ts";
import type { Client } from "../../client/index.ts";
import { Failure } from "../../core/light.ts";
import type { Box } from "../../sandbox/index.ts";
import { BoxWatch } from "../box-watch.ts";
import { command } from "../command.ts";
import { groupCalled, livingOf } from "../group-work.ts";
import type { Io } from "../io.ts";

export const ssh = command({
  arguments: [
    { name: "<box>", summary: "name or id of the sandbox, or of a group: its first is entered", completes: "boxes" },
    { name: "[command...]", summary: "what to run in it, best behind `--`; a shell there puts the words together" },
  ],
  takesCommand: true,
  about:
    "The same as `ssh box.p2prc`, which works wherever ssh does once `p2prc ssh-config --install` was run: scp, sftp, rsync, editors. The key of the sandbox is known beforehand, and your own agent stays here.",
  examples: [
    { command: "p2prc ssh box", about: "a shell" },
    { command: "p2prc ssh box -- 'cd src && make'", about: "a line for the shell there" },
  ],
  json: {},

  async run({ args: [name = "", ...words], rest, home }, io) {
    await using client = await io.open({ home });
    const box = await find(client, name, io);
    const line = [...words, ...(rest ?? [])];
    io.clear();
    const args = ["-F", join(home, "ssh_config"), "--", `${box.sandbox.id}.p2prc`, ...line];
    await using beside = new Scope();
    const watch = new BoxWatch({ client, box: box.sandbox.id, terminal: io.streams.stdin.isTTY === true, io });
    beside.spawn((signal) => watch.run(signal));
    const code = await io.machine.attach("ssh", args, io.signal);
    if (code === undefined) throw await noSsh(name, io);
    return code;
  },
});

/** The daemon has to run, since its door is what ssh goes through. @throws {Failure} not-supported */
async function find(client: Client, name: string, io: Io): Promise<Box> {
  io.progress(`reaching ${name}`);
  const group = await groupCalled(client, name, io.signal);
  const [first] = group === undefined ? [] : livingOf(group, io);
  const box = await client.box(first?.sandbox.id ?? name, io.signal);
  const { hostKey, sshProblem } = box.sandbox;
  if (hostKey !== undefined) return box;
  throw new Failure("not-supported", `there is no ssh in ${name}: ${sshProblem ?? "its node does not say why"}`, {
    hint: `\`p2prc exec ${name}\` goes without it`,
  });
}

async function noSsh(name: string, { machine }: Io): Promise<Failure> {
  const other = `or go without: \`p2prc exec ${name}\``;
  return new Failure("not-supported", "there is no ssh on this machine", {
    hint: `install it with \`${await installLine(machine)}\`, ${other}`,
  });
}

const INSTALLERS = [
  ["apt-get", "sudo apt-get install openssh-client"],
  ["dnf", "sudo dnf install openssh-clients"],
  ["pacman", "sudo pacman -S openssh"],
  ["apk", "sudo apk add openssh-client"],
  ["zypper", "sudo zypper install openssh-clients"],
] as const;

async function installLine(machine: Io["machine"]): Promise<string> {
  if (machine.platform === "win32") return "Add-WindowsCapability -Online -Name OpenSSH.Client~~~~0.0.1.0";
  if (machine.platform === "darwin") return "brew install openssh";
  for (const [tool, line] of INSTALLERS) if ((await machine.run("which", [tool])).code === 0) return line;
  return "the package manager of this system (openssh)";
}
