/** p2prc ssh-config: let the person's own `ssh` know the sandboxes. */

import { join } from "node:path";
import { Failure } from "../../core/light.ts";
import { includeLine, installInclude, isIncluded, removeInclude } from "../../sandbox/light.ts";
import { command } from "../command.ts";
import { printJson } from "../io.ts";

interface Flags {
  readonly install?: boolean;
  readonly uninstall?: boolean;
}

export const sshConfig = command<Flags>({
  options: [
    { flags: "--install", summary: "put the line first into ~/.ssh/config" },
    { flags: "--uninstall", summary: "take it out again" },
  ],
  about:
    "P2PRC keeps a configuration for ssh with a host for each sandbox and its key. One line in your own makes ssh, scp, sftp, rsync, Ansible and editors read it; nothing else of yours is touched.",
  examples: [
    { command: "p2prc ssh-config", about: "shows the path and the line" },
    { command: "p2prc ssh-config --install && ssh box.p2prc", about: "once, for all sandboxes" },
  ],
  json: {
    path: "the configuration that P2PRC keeps",
    include: "the line that makes ssh read it",
    included: "whether ~/.ssh/config has the line now",
  },

  async run({ flags, home, json }, io) {
    if (flags.install === true && flags.uninstall === true)
      throw new Failure("bad-argument", "--install and --uninstall contradict each other");
    const path = join(home, "ssh_config");
    const places = { userHome: io.machine.userFolder, config: path };
    const changed =
      flags.install === true
        ? await installInclude(places)
        : flags.uninstall === true
          ? await removeInclude(places)
          : undefined;
    const own = join(io.machine.userFolder, ".ssh", "config");
    if (json) return printJson(io, { path, include: includeLine(path), included: await isIncluded(places) });
    if (changed === undefined) {
      io.out(`configuration:  ${path}`);
      io.out(`line:           ${includeLine(path)}`);
      io.out((await isIncluded(places)) ? `${own} has it` : "put it first into yours:  p2prc ssh-config --install");
    } else if (flags.install === true)
      io.out(changed ? `${own} reads it now: ssh <box>.p2prc works` : `${own} has the line already`);
    else io.out(changed ? `${own} is without it again` : `${own} had no such line`);
  },
});
