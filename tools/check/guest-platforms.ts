/**
 * Guests run P2PRC on macOS and Windows too: what their process loads makes no call that only
 * Linux, or only Unix, has.
 *
 * From the entries that guests use, this follows the imports that Node follows (types are
 * stripped first, import() counts) and looks for words that give such a call away. A hit is allowed
 * where the file asks for the platform first, or where it stands below with its reason.
 */

import { existsSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import ts from "typescript";

import { type Outcome, root } from "./run.ts";

const entries = ["src/cli/bin.ts", "src/client/index.ts", "src/daemon/main.ts"];

/** Rooms that only an owner's machine enters. */
const ownersRooms = ["runtime", "lease", "helper", "inside", "resident", "doctor"].map(
  (room) => `src/sandbox/${room}/`,
);

interface Trap {
  readonly what: string;
  readonly pattern: RegExp;
  /** Words in the same file that show that it asked first. */
  readonly guard: RegExp;
}

const asksPlatform = /platform|win32/;
const nothing = /(?!)/;

const traps: readonly Trap[] = [
  { what: "a path that only Linux has", pattern: /["'`]\/(?:proc|sys|run|dev|etc)\//, guard: asksPlatform },
  { what: "a user id, which Windows lacks", pattern: /\bget(?:e?uid|e?gid|groups)\(\)/, guard: nothing },
  { what: "an owner or a mode, which Windows makes up", pattern: /\.(?:mode\s*&|uid\b)/, guard: asksPlatform },
  {
    what: "an open flag that Windows lacks",
    pattern: /\bO_(?:NOFOLLOW|DIRECTORY|DIRECT)\b(?!\s*\?\?)/,
    guard: asksPlatform,
  },
  {
    what: "a symbolic link, for which Windows wants a privilege",
    pattern: /\bsymlink(?:Sync)?\(/,
    guard: asksPlatform,
  },
  {
    what: "a signal that Windows lacks",
    pattern: /["']SIG(?:USR1|USR2|CHLD|WINCH|STOP|CONT)["']/,
    guard: asksPlatform,
  },
  {
    what: "a Linux tool",
    pattern:
      /[([]\s*["'](?:ip|nft|tc|ss|lsof|systemctl|systemd-run|loginctl|journalctl|apt-get|bwrap|unshare|nsenter|newuidmap|sudo|mount|chown|chmod|ps|sh|bash)["']\s*,/,
    guard: asksPlatform,
  },
];

/** Files that may, each with the reason why no guest meets it. */
const allowed: Readonly<Record<string, string>> = {
  "src/cli/demo/story.ts": "`ps` is a word of p2prc there",
  "src/sandbox/copy/near-files.ts": "the mode that a file has is told to the sandbox, whatever it is worth",
  "src/cli/completion-scripts.ts": "bash is the name of a shell there; nothing is started",
  "src/cli/installed.ts": "`install` refuses Windows before it plans anything",
  "src/daemon/status.ts": "a user id that was handed down, undefined where there is none",
  "src/network/listen-tcp.ts": "who holds a port is read where /proc is, and not said where it is not",
  "src/cli/plugin/targets.ts": "`sh` runs in the sandbox",
  "src/plugin/run-inside.ts": "the paths are of the sandbox",
  "src/plugin/confine.ts": "bubblewrap has been found before, so this is Linux; else a plugin of others is refused",
  "src/cli/service.ts": "a service for systemd is planned on Linux alone (install-plan.ts)",
};

export function guestPlatforms(): Promise<Outcome> {
  const files = reached(entries);
  const complaints = [
    ...files.flatMap((file) =>
      existsSync(join(root, file)) ? complaintsAbout(file, read(file)) : `${file}: not there`,
    ),
    ...Object.keys(allowed)
      .filter((file) => !files.includes(file))
      .map((file) => `${file} is allowed, but no guest reaches it`),
  ];
  const output = [...complaints, `${files.length} files reached by guests`].join("\n");
  return Promise.resolve({ ok: complaints.length === 0, output: `${output}\n` });
}

/** What there is to say against running `source` on a guest's machine. */
export function complaintsAbout(file: string, source: string): string[] {
  if (allowed[file] !== undefined) return [];
  const code = asNodeSeesIt(source);
  return traps
    .filter(({ pattern, guard }) => pattern.test(code) && !guard.test(code))
    .map(({ what, pattern }) => `${file}: ${what}: ${pattern.exec(code)?.[0]}`);
}

/** All files of the product that Node loads, or may load later, from these. */
function reached(from: readonly string[]): string[] {
  const files = new Set(from);
  for (const file of files) {
    if (!existsSync(join(root, file))) continue;
    for (const specifier of importsOf(read(file))) {
      const found = relative(root, join(root, dirname(file), specifier)).replaceAll("\\", "/");
      if (!ownersRooms.some((room) => found.startsWith(room))) files.add(found);
    }
  }
  return [...files].sort();
}

/** The relative imports that are left when the types are gone; import() counts. */
export function importsOf(source: string): string[] {
  const { importedFiles } = ts.preProcessFile(asNodeSeesIt(source), true, true);
  return importedFiles.map(({ fileName }) => fileName).filter((name) => name.startsWith("."));
}

/** Without types and comments. */
function asNodeSeesIt(source: string): string {
  const compilerOptions = {
    module: ts.ModuleKind.ESNext,
    target: ts.ScriptTarget.ESNext,
    verbatimModuleSyntax: true,
    removeComments: true,
  };
  return ts.transpileModule(source, { compilerOptions }).outputText;
}

function read(file: string): string {
  return readFileSync(join(root, file), "utf8");
}
