/** p2prc help: all commands, or one of them. */

import { type CommandRow, command, groups } from "../command.ts";
import { rowNamed } from "../find-command.ts";
import { globalOptions } from "../global-options.ts";
import { type Io, printJson } from "../io.ts";

export const help = command({
  arguments: [{ name: "[command]", summary: "the one to explain" }],
  examples: [{ command: "p2prc help ls", about: "the same as `p2prc ls --help`" }],
  json: { commands: "without a command: name, group, summary of each", text: "with one: what is printed otherwise" },

  async run({ args: [name], commands, json }, io) {
    if (name !== undefined) {
      const text = await explain(name, commands);
      if (json) printJson(io, { text });
      else io.out(text);
    } else if (json) {
      const shown = commands.filter(({ hidden }) => hidden !== true);
      printJson(io, { commands: shown.map(({ name: word, group, summary }) => ({ name: word, group, summary })) });
    } else printOverview(commands, io);
  },
});

/** @throws {Failure} bad-argument */
async function explain(name: string, commands: readonly CommandRow[]): Promise<string> {
  const row = rowNamed(name, commands);
  const { helpOf, withExamples } = await import("../parse.ts");
  const found = await row.load();
  return withExamples(helpOf(row, found), found.examples);
}

function printOverview(commands: readonly CommandRow[], io: Io): void {
  io.out("p2prc: use a friend's machine, or one close by, and run anything on it", "bold");
  io.out("\nUsage: p2prc <command> [options]      p2prc help <command> explains one");
  const shown = commands.filter(({ hidden }) => hidden !== true);
  const width = Math.max(...shown.map(({ name }) => name.length));
  for (const group of groups) {
    io.out(`\n${group}`, "bold");
    for (const { name, summary } of shown.filter((one) => one.group === group))
      io.out(`  ${name.padEnd(width)}  ${summary}`);
  }
  io.out("\nEverywhere", "bold");
  for (const { flags, summary } of globalOptions) io.out(`  ${flags.padEnd(15)}  ${summary}`);
  io.out("\nAs the first P2PRC took them: -s (serve), --us [--hops N] (update), --ls (ls)");
}
