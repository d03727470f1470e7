/**
 * A tool that finds nothing may be blind. So a copy of the tree gets faults of each kind that the
 * tools are there for, and each fault must be named by its tool.
 */

import { appendFile, cp, mkdir, mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { arrows } from "./arrows.ts";
import { type Outcome, root, run } from "./run.ts";

interface Fault {
  readonly what: string;
  /** Where it is planted; a file that is there already gets it at its end. */
  readonly file: string;
  readonly code: string;
  readonly tool: "types" | "format" | "lint" | "promises" | "arrows" | "dead";
  /** What its tool must say. */
  readonly found: RegExp;
}

const faults: readonly Fault[] = [
  {
    what: "a floor that imports a higher one",
    file: "src/core/planted-up.ts",
    code: 'export type { Link } from "../network/index.ts";\n',
    tool: "arrows",
    found: /core-imports-below-only: src\/core\/planted-up\.ts/,
  },
  {
    what: "neighbours that meet",
    file: "src/table/planted-aside.ts",
    code: 'export * from "../measure/index.ts";\n',
    tool: "arrows",
    found: /table-imports-below-only: src\/table\/planted-aside\.ts/,
  },
  {
    what: "a way round the door",
    file: "src/table/planted-window.ts",
    code: 'export { Scope } from "../base/scope.ts";\n',
    tool: "arrows",
    found: /doors-only: src\/table\/planted-window\.ts/,
  },
  {
    what: "a cycle",
    file: "src/base/planted-cycle.ts",
    code: 'import { two } from "./planted-cycle-two.ts";\nexport const one = () => two;\n',
    tool: "arrows",
    found: /no-cycles: src\/base\/planted-cycle/,
  },
  {
    what: "the other half of it",
    file: "src/base/planted-cycle-two.ts",
    code: 'import { one } from "./planted-cycle.ts";\nexport const two = () => one;\n',
    tool: "arrows",
    found: /no-cycles: src\/base\/planted-cycle/,
  },
  {
    what: "a test in the product",
    file: "src/base/planted-test.ts",
    code: 'export { VirtualClock } from "../../test/support/virtual-clock.ts";\n',
    tool: "arrows",
    found: /nothing-imports-tests: src\/base\/planted-test\.ts/,
  },
  {
    what: "a room that the command line loads at once",
    file: "src/cli/planted-heavy.ts",
    code: 'export { ask } from "../network/index.ts";\n',
    tool: "arrows",
    found: /street-takes-types-or-light-doors: src\/cli\/planted-heavy\.ts/,
  },
  {
    what: "a heavy library that the command line loads, two steps away",
    file: "src/cli/bin.ts",
    code: 'import "./planted-fastify.ts";\n',
    tool: "arrows",
    found: /the-command-line-is-light: src\/cli\/bin\.ts/,
  },
  {
    what: "the second step",
    file: "src/cli/planted-fastify.ts",
    code: 'export { fastify } from "fastify";\n',
    tool: "arrows",
    found: /src\/cli\/planted-fastify\.ts/,
  },
  {
    what: "a promise that nobody awaits",
    file: "src/base/planted-promise.ts",
    code: "const later = async (): Promise<void> => {};\nexport function start(): void {\n  later();\n}\n",
    tool: "promises",
    found: /no-floating-promises[\s\S]*?planted-promise\.ts/,
  },
  {
    what: "a promise where a condition belongs",
    file: "src/base/planted-condition.ts",
    code: "const ready = async (): Promise<boolean> => false;\nexport const word = () => (ready() ? 1 : 2);\n",
    tool: "promises",
    found: /no-misused-promises[\s\S]*?planted-condition\.ts/,
  },
  {
    what: "time that no test owns",
    file: "src/core/planted-time.ts",
    code: "export const now = () => Date.now();\nsetTimeout(now, 1);\n",
    tool: "promises",
    found: /no-restricted-properties[\s\S]*?planted-time\.ts/,
  },
  {
    what: "a default export",
    file: "src/core/planted-default.ts",
    code: "export default 1;\n",
    tool: "promises",
    found: /no-default-export[\s\S]*?planted-default\.ts/,
  },
  {
    what: "a function of four parameters",
    file: "src/core/planted-four.ts",
    code: "export const four = (a: number, b: number, c: number, d: number) => a + b + c + d;\n",
    tool: "promises",
    found: /max-params[\s\S]*?planted-four\.ts/,
  },
  {
    what: "a command for a shell",
    file: "src/core/planted-exec.ts",
    code: 'import { exec } from "node:child_process";\nexport const run = () => exec("ls");\n',
    tool: "promises",
    found: /no-restricted-imports[\s\S]*?planted-exec\.ts/,
  },
  {
    what: "a shell by option",
    file: "src/core/planted-shell.ts",
    code: 'import { spawn } from "node:child_process";\nexport const run = () => spawn("ls", [], { shell: true });\n',
    tool: "lint",
    found: /planted-shell\.ts[\s\S]*?No shell/,
  },
  {
    what: "lines out of form",
    file: "src/core/planted-form.ts",
    code: "export const form   =  1\n",
    tool: "format",
    found: /planted-form\.ts/,
  },
  {
    what: "a wrong type",
    file: "src/core/planted-type.ts",
    code: 'export const count: number = "one";\n',
    tool: "types",
    found: /planted-type\.ts\(1,14\): error TS2322/,
  },
  {
    what: "an export that nobody uses",
    file: "src/base/topic.ts",
    code: "export const plantedAndUnused = 1;\n",
    tool: "dead",
    found: /plantedAndUnused +src\/base\/topic\.ts/,
  },
  {
    what: "a file that nobody imports",
    file: "src/core/planted-alone.ts",
    code: "export const alone = 1;\n",
    tool: "dead",
    found: /src\/core\/planted-alone\.ts/,
  },
];

const tools: Readonly<Record<Fault["tool"], (tree: string) => Promise<Outcome>>> = {
  types: (tree) => run(["tsc", "-p", "."], tree),
  format: (tree) => run(["biome", "format", "--max-diagnostics=none", "."], tree),
  lint: (tree) => run(["biome", "lint", "--max-diagnostics=none", "."], tree),
  promises: (tree) => run(["oxlint", "--type-aware"], tree),
  arrows: (tree) => arrows(tree),
  dead: (tree) => run(["knip", "--no-progress"], tree),
};

export async function planted(): Promise<Outcome> {
  const tree = await mkdtemp(join(tmpdir(), "p2prc-planted-"));
  try {
    await copyTree(tree);
    for (const { file, code } of faults) await plant(join(tree, file), code);
    const said = new Map<string, string>();
    for (const [name, look] of Object.entries(tools)) said.set(name, (await look(tree)).output);
    const missed = faults.filter(({ tool, found }) => !found.test(said.get(tool) ?? ""));
    const complaints = missed.map(({ tool, what, file }) => `${tool} does not see ${what} (${file})\n`);
    return { ok: missed.length === 0, output: `${complaints.join("")}${faults.length} faults planted\n` };
  } finally {
    await rm(tree, { recursive: true, force: true });
  }
}

/** All that is ours; the libraries are only pointed at. */
async function copyTree(tree: string): Promise<void> {
  const others = ["node_modules", ".git", "dist"];
  await cp(root, tree, { recursive: true, filter: (path) => !others.includes(basename(path)) });
  await symlink(join(root, "node_modules"), join(tree, "node_modules"));
}

async function plant(file: string, code: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  await appendFile(file, code);
}
