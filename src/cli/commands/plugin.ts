/** p2prc plugin: instructions written once, run on many sandboxes. */

import { cleanText, Failure, parseDuration } from "../../core/light.ts";
import type { Listed, PluginStore, StoredPlugin } from "../../plugin/index.ts";
import { formatColumns, formatFields } from "../columns.ts";
import { command, type Input } from "../command.ts";
import { confirm, type Io, printJson } from "../io.ts";
import { wholeNumber } from "../options.ts";
import { runNamedPlugin } from "../plugin/run.ts";

interface Flags {
  readonly seed?: boolean;
  readonly name?: string;
  readonly param?: readonly (readonly [string, string])[];
  readonly check?: boolean;
  readonly diff?: boolean;
  readonly forks?: number;
  readonly resume?: boolean;
  readonly yes?: boolean;
  readonly anyway?: boolean;
  readonly timeLimit?: number;
}

type Asked = Input<Flags>;

const HOUR_MS = 3_600_000;

export const plugin = command<Flags>({
  arguments: [
    {
      name: "<what>",
      summary: "add, ls, show, update, rm or run",
      choices: ["add", "ls", "show", "update", "rm", "run"],
    },
    {
      name: "[words...]",
      summary:
        "add <folder, archive or git URL>, show <plugin>, update <plugin>, rm <plugin...>, run <plugin> <box or group>",
      completes: "boxes",
    },
  ],
  options: [
    { flags: "--name <name>", summary: "add: what to call it (what it calls itself)" },
    { flags: "-p, --param <key=value>", summary: "run: a parameter of it", repeatable: true, parse: parseParameter },
    { flags: "--check", summary: "run: say what would change, and change nothing" },
    { flags: "--diff", summary: "run: show what changes in files" },
    {
      flags: "--forks <number>",
      summary: "run: on so many sandboxes at once (20)",
      parse: wholeNumber("--forks", 1, 500),
    },
    { flags: "--resume", summary: "run: go on where the last run on these sandboxes was broken off" },
    { flags: "--time-limit <duration>", summary: "run: end it after so long (1h)", parse: parseDuration },
    { flags: "--anyway", summary: "run: also where a sandbox lacks what it needs" },
    { flags: "--seed", summary: "in the format of `p2prc --vp`", hidden: true },
    { flags: "-y, --yes", summary: "run, update: without being asked" },
  ],
  about: [
    "A plugin is a folder with an Ansible playbook, `site.yml`: that of the first P2PRC (with `description.txt`, `ports.json` and `{{index . 0}}` for its first port), or one with a manifest `plugin.yaml` that names parameters, ports and needs (docs/plugins.md). `ansible-playbook` itself runs it, over ssh.",
    "One that was added from a folder is your own. One from an archive or from git is somebody else's: the first time it shows what it is and asks, and it runs behind walls, with a key for this run that opens the named sandboxes alone.",
  ].join("\n\n"),
  examples: [
    {
      command: "p2prc plugin add https://example.org/p2prc-vscode-browser.git",
      about: "at its newest commit; `#v1` behind it: at that",
    },
    { command: "p2prc plugin add ./my-plugin", about: "my own" },
    { command: "p2prc plugin run vscode-browser farm", about: "on every sandbox of a group" },
    { command: "p2prc plugin run my-plugin box -p port=8080 --check --diff", about: "what would it change?" },
    { command: "p2prc plugin run vscode-browser farm --resume", about: "go on where it failed" },
    { command: "p2prc plugin update vscode-browser", about: "show what is new, and take it over" },
  ],
  json: {
    name: "of the plugin; with `ls` one object a line",
    description: "in its own words",
    form: "seed (of the first P2PRC) or manifest",
    origin: "kind (folder, tar, git), place, commit",
    parameters: "by name: type, description, default, choices",
    ports: "name, port",
    needs: "cpus, memory, gpus, network, apt",
    digest: "SHA-256 over its files",
    problem: "where it cannot be read: why",
    "(with run) kind":
      "task, started, ok, skipped, ignored, failed, unreachable, diff, host; one object a line as it happens; the last is end, with run, log, exit, timedOut, hosts",
  },

  async run(input, io) {
    const [what = "ls", ...words] = input.args;
    const { PluginStore: Store } = await import("../../plugin/index.ts");
    const store = new Store({ home: input.home, clock: io.clock });
    const code = await (WORK[what] ?? list)(store, { ...input, args: words }, io);
    if (input.flags.seed === true && what !== "ls" && (code ?? 0) === 0) io.out("Success");
    return code;
  },
});

type Work = (store: PluginStore, input: Asked, io: Io) => Promise<number | void>;

const WORK: Readonly<Record<string, Work>> = { add, show, update, rm: remove, run };

async function add(store: PluginStore, { args, flags, json }: Asked, io: Io): Promise<void> {
  const [place] = exactly(1, args, "p2prc plugin add <folder, archive or git URL>");
  io.progress(`fetching ${cleanText(place, 80)}`);
  const added = await store.add(place, { name: flags.name }, io.signal);
  if (json) printJson(io, added);
  else io.out(`${added.name} is added (${originOf(added)}): \`p2prc plugin run ${added.name} BOX\` runs it`, "good");
}

async function list(store: PluginStore, { args, flags, json }: Asked, io: Io): Promise<void> {
  exactly(0, args, "p2prc plugin ls");
  const found = await store.list();
  if (flags.seed === true) {
    io.out(JSON.stringify({ PluginsDetected: found.flatMap(seedShapeOf) }, undefined, 2));
    return;
  }
  if (json) {
    for (const each of found) printJson(io, "plugin" in each ? each.plugin : each);
    return;
  }
  if (found.length === 0) io.err("you have no plugin: `p2prc plugin add FOLDER` adds one");
  else
    io.out(
      formatColumns(
        ["NAME", "FROM", "PORTS", "DESCRIPTION"].map((title) => ({ title })),
        found.map(cellsOf),
      ).join("\n"),
    );
}

/** As the first P2PRC printed it. */
function seedShapeOf(listed: Listed): readonly object[] {
  if (!("plugin" in listed)) return [];
  const { name, description, ports } = listed.plugin;
  return [{ FolderName: name, PluginDescription: description, Execute: null, NumOfPorts: ports.length }];
}

function cellsOf(listed: Listed): readonly string[] {
  if (!("plugin" in listed)) return [listed.name, "", "", `broken: ${listed.problem}`];
  const { name, ports, description } = listed.plugin;
  return [name, originOf(listed.plugin), String(ports.length), description];
}

async function show(store: PluginStore, { args, json }: Asked, io: Io): Promise<void> {
  const [name] = exactly(1, args, "p2prc plugin show <plugin>");
  const found = await store.find(name);
  if (json) {
    printJson(io, found);
    return;
  }
  const { parameters, ports, needs, origin } = found;
  const fields: readonly (readonly [string, string])[] = [
    ["Name", found.name],
    ["Description", found.description],
    ["From", originOf(found)],
    ["Commit", origin.kind === "git" ? origin.commit : ""],
    ["Place", origin.place],
    ["Files", store.filesOf(found.name)],
    ...Object.entries(parameters).map(([key, { type, default: value, description = "", choices }]) => {
      const words = [
        type,
        value === undefined ? "to be given" : `${JSON.stringify(value)} by default`,
        choices?.join(", "),
        description,
      ];
      return [`-p ${key}`, words.filter((word) => word !== undefined && word !== "").join("; ")] as const;
    }),
    ["Ports", ports.map((port) => `${port.name}${port.port === undefined ? "" : ` (${port.port})`}`).join(", ")],
    [
      "Needs",
      Object.entries(needs)
        .map(([key, value]) => `${key} ${String(value)}`)
        .join(", "),
    ],
  ];
  io.out(formatFields(fields.filter(([, value]) => value !== "")).join("\n"));
}

async function update(store: PluginStore, { args, flags, json }: Asked, io: Io): Promise<void> {
  const [name] = exactly(1, args, "p2prc plugin update <plugin>");
  const { differenceOf } = await import("../../plugin/index.ts");
  const before = await store.find(name);
  io.progress(`fetching ${cleanText(before.origin.place, 80)}`);
  await using fetched = await store.fetchAgain(before, io.signal);
  const lines = await differenceOf(store.filesOf(before.name), fetched.files);
  if (!json) for (const line of lines) io.out(line);
  if (lines.length === 0 && !json) io.out(`${before.name} is as it was`);
  const takes = before.origin.kind === "folder" || flags.yes === true || lines.length === 0;
  if (!takes && (await confirm(io, `take this over into ${before.name}?`)) !== true) {
    throw new Failure("not-allowed", `${before.name} stays as it was`, { hint: "take it over with --yes" });
  }
  const kept = await store.keep(fetched);
  if (json) printJson(io, kept);
  else if (lines.length > 0) io.out(`${kept.name} is new (${originOf(kept)})`, "good");
}

async function remove(store: PluginStore, { args }: Asked, io: Io): Promise<void> {
  if (args.length === 0) throw usage("p2prc plugin rm <plugin...>");
  for (const name of args) io.out(`removed ${await store.remove(name)}`);
}

async function run(store: PluginStore, { args, flags, home, json }: Asked, io: Io): Promise<number> {
  const [name, word] = exactly(2, args, "p2prc plugin run <plugin> <box or group>");
  await using client = await io.open({ home });
  const wish = {
    ...{ plugin: name, word: word ?? "", given: Object.fromEntries(flags.param ?? []), home, json },
    ...{ check: flags.check === true, diff: flags.diff === true, resume: flags.resume === true },
    ...{ yes: flags.yes === true, anyway: flags.anyway === true },
    ...{ forks: flags.forks ?? 20, timeLimitMs: flags.timeLimit ?? HOUR_MS },
  };
  return await runNamedPlugin(client, { ...wish, store }, io);
}

function originOf({ origin }: StoredPlugin): string {
  if (origin.kind === "folder") return "my own";
  return origin.kind === "git" ? `git ${origin.commit.slice(0, 12)}` : "an archive";
}

/** @throws {Failure} bad-argument */
function parseParameter(text: string): readonly [string, string] {
  const at = text.indexOf("=");
  if (at > 0) return [text.slice(0, at), text.slice(at + 1)];
  throw new Failure("bad-argument", `not a parameter: "${text.slice(0, 40)}"`, { hint: "write it as `-p key=value`" });
}

/** @throws {Failure} bad-argument */
function exactly(count: number, words: readonly string[], form: string): readonly [string, string | undefined] {
  if (words.length !== count) throw usage(form);
  return [words[0] ?? "", words[1]];
}

function usage(form: string): Failure {
  return new Failure("bad-argument", "these are not the words for it", { hint: `usage: ${form}` });
}
