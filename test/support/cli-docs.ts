/** docs/cli.md, made of what the commands say of themselves and of the table of failures. */

import { type Command, type CommandRow, groups } from "../../src/cli/command.ts";
import { commands } from "../../src/cli/commands.ts";
import { globalOptions } from "../../src/cli/global-options.ts";
import { usageOf } from "../../src/cli/parse.ts";
import { failures } from "../../src/core/light.ts";

export async function cliDocs(): Promise<string> {
  const shown = commands.filter(({ hidden }) => hidden !== true);
  const loaded = await Promise.all(shown.map(async (row) => ({ row, command: await row.load() })));
  return `${[
    "# The command line",
    "<!-- Written by `node tools/cli-docs.ts` from what the commands say of themselves. -->",
    INTRODUCTION,
    "## Commands",
    ...groups.map((group) => overview(group, shown)),
    "The flags of the first P2PRC work as it wrote them: `-s` is `serve`, `--us [--hops N]` is `update`, `--ls` lists all nodes in blocks, `--touch ADDRESS --ports N --GPU` starts a sandbox and prints its JSON.",
    "## Everywhere",
    table(
      ["option", "means"],
      globalOptions.map(({ flags, summary }) => [code(flags), summary]),
    ),
    "## Exit codes",
    exitCodes(),
    ...loaded.map(({ row, command }) => chapter(row, command)),
  ].join("\n\n")}\n`;
}

const INTRODUCTION = [
  "Results go to stdout; words about them, questions and progress go to stderr. With `--json`, stdout holds one JSON value",
  "a line, under the names listed here, which stay as they are: fields are added, never renamed. A failure is then one line",
  'on stderr in the place of the prose, `{"error":{"code","message","hint"}}`, beside the exit code. `…At` and `until` are',
  "milliseconds since 1970. A field that is not known is absent. Colours and questions are for a terminal only; `NO_COLOR` is",
  "respected. Sessions that show the commands at work, and run as tests, are in [test/transcripts](../test/transcripts).",
].join("\n");

function overview(group: string, rows: readonly CommandRow[]): string {
  const own = rows.filter((row) => row.group === group);
  return `**${group}**\n\n${table(
    ["command", "what it does"],
    own.map(({ name, summary }) => [`[\`${name}\`](#p2prc-${name})`, summary]),
  )}`;
}

function chapter(row: CommandRow, command: Command): string {
  const options = (command.options ?? []).filter(({ hidden }) => hidden !== true);
  const fields = Object.entries(command.json);
  const words = (command.arguments ?? []).map(({ name, summary }) => [code(name), summary]);
  return [
    `## p2prc ${row.name}`,
    `${capital(row.summary)}.${command.about === undefined ? "" : ` ${command.about}`}`,
    fence([usageOf(row, command)]),
    ...(words.length + options.length === 0
      ? []
      : [table(["", ""], [...words, ...options.map(({ flags, summary }) => [code(flags), summary])])]),
    fence(command.examples.map((example) => `${example.command}   # ${example.about}`)),
    ...(fields.length === 0
      ? []
      : [
          table(
            ["`--json`", "means"],
            fields.map(([field, meaning]) => [code(field), meaning]),
          ),
        ]),
  ].join("\n\n");
}

function exitCodes(): string {
  const meanings: Readonly<Record<number, string>> = {
    0: "done",
    2: "the words are wrong",
    3: "no such thing",
    4: "cannot be reached",
    5: "the daemon or this machine",
    6: "not allowed",
    7: "too much or too often",
    8: "it is there already, or somebody else's",
    70: "a defect of P2PRC",
    130: "interrupted (Ctrl-C) before it was done",
  };
  const codesOf = (exit: string) =>
    Object.entries(failures)
      .filter(([, failure]) => String(failure.exit) === exit)
      .map(([name]) => code(name));
  return table(
    ["exit code", "means", "failures (as `code` in the REST API)"],
    Object.entries(meanings).map(([exit, meaning]) => [exit, meaning, codesOf(exit).join(", ")]),
  );
}

function table(titles: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [titles, titles.map(() => "---"), ...rows].map(
    (cells) => `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`,
  );
  return lines.join("\n");
}

function fence(lines: readonly string[]): string {
  return ["```sh", ...lines, "```"].join("\n");
}

function code(text: string): string {
  return `\`${text}\``;
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
