/** p2prc exec: run a command in a sandbox, as if it ran here. */

import { Failure } from "../../core/light.ts";
import { command } from "../command.ts";
import { execInBox } from "../exec-in-box.ts";
import { execInGroup } from "../exec-in-group.ts";
import { groupCalled } from "../group-work.ts";

interface Flags {
  readonly env?: readonly (readonly [string, string])[];
  readonly workdir?: string;
  readonly user?: string;
  readonly tty?: boolean;
  /** False after --no-input. */
  readonly input?: boolean;
}

export const exec = command<Flags>({
  arguments: [
    { name: "<box>", summary: "name or id of the sandbox, or of a group", completes: "boxes" },
    { name: "[command...]", summary: "the command and its words, best behind `--`; without one, a shell" },
  ],
  takesCommand: true,
  options: [
    { flags: "-e, --env <KEY=VALUE>", summary: "set a variable for it", repeatable: true, parse: parseVariable },
    { flags: "-w, --workdir <folder>", summary: "the folder it starts in (the home of its user)" },
    { flags: "-u, --user <user>", summary: "a name or number known in the sandbox" },
    { flags: "-t, --tty", summary: "with a terminal, also where none is here" },
    { flags: "-T, --no-tty", summary: "without one" },
    { flags: "-n, --no-input", summary: "without what is typed or piped in, as in a loop that reads a list" },
    { flags: "-i, --interactive", summary: "input is passed on in any case", hidden: true },
  ],
  about:
    "Input, output and exit code pass through, byte for byte. It gets a terminal where this is one, and Ctrl-C is for the command; five that nothing answers leave it. Where the sandbox is frozen, or ends soon, a line on stderr says so; without a terminal, one signal leaves a command in a sandbox that is frozen, with 128 and its number. Where the node goes away in the middle, the exit code is 4 and the sandbox lives on. In a group it runs everywhere at the same time, without a terminal: each gets all that is piped in, as fast as the slowest takes it, and each line of output begins with the name of its sandbox.",
  examples: [
    { command: "p2prc exec box", about: "a shell" },
    { command: "p2prc exec box -- python3 train.py < data > out ; echo $?", about: "as if it ran here" },
    { command: "p2prc exec farm -- uname -a", about: "in every sandbox of a group" },
    { command: "p2prc exec farm -- sh < setup.sh", about: "a script of here, in all of them" },
    { command: "p2prc exec -e LANG=C -w /tmp box -- ls -la", about: "with a variable and a folder" },
  ],
  json: {},

  async run({ args: [box = "", ...words], rest, flags, home }, io) {
    await using client = await io.open({ home });
    const what = {
      argv: [...words, ...(rest ?? [])],
      env: Object.fromEntries(flags.env ?? []),
      cwd: flags.workdir,
      user: flags.user,
      terminal: flags.tty,
    };
    const group = await groupCalled(client, box, io.signal);
    if (group !== undefined) return await execInGroup(client, { ...what, group, input: flags.input }, io);
    return await execInBox(client, { ...what, box, input: flags.input }, io);
  },
});

/** @throws {Failure} bad-argument */
function parseVariable(text: string): readonly [string, string] {
  const [, name, value] = /^([A-Za-z_][A-Za-z0-9_]*)=([^\0]*)$/.exec(text) ?? [];
  if (name !== undefined && value !== undefined) return [name, value];
  throw new Failure("bad-argument", `not a variable: "${text.slice(0, 40)}"`, { hint: "write it as `-e KEY=VALUE`" });
}
