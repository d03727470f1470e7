import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { commands } from "../../src/cli/commands.ts";
import { fromSeedFlags } from "../../src/cli/seed-flags.ts";
import { configKeys } from "../../src/config/config.ts";
import { find, read } from "./repository.ts";

const names = commands.map(({ name }) => name);

describe("the README", () => {
  test("tells of commands that there are, and so do the other pages", () => {
    for (const page of find("{*.md,docs/**/*.md,examples/*}")) {
      assert.deepEqual(
        verbsIn(read(page)).filter((verb) => !names.includes(verb)),
        [],
        page,
      );
    }
  });

  test("has every command that is not hidden in its table", () => {
    const page = read("README.md");
    const missing = commands.filter(({ name, hidden }) => hidden !== true && !new RegExp(`\\b${name}\\b`).test(page));
    assert.deepEqual(
      missing.map(({ name }) => name),
      [],
    );
  });

  test("names everything that may be chosen in config.json", () => {
    const page = read("README.md");
    assert.deepEqual(
      configKeys.filter((key) => !page.includes(`\`${key}\``)),
      [],
    );
  });

  test("begins with the two commands", () => {
    const page = read("README.md");
    assert.match(page, /\.\/p2prc demo/);
    assert.match(page, /\.\/check/);
  });

  test("leads to files that there are", () => {
    for (const page of find("{*.md,docs/**/*.md}")) {
      const folder = page.includes("/") ? page.replace(/[^/]+$/, "") : "";
      const targets = Array.from(read(page).matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)/g), ([, target]) => target);
      const missing = targets.filter((target) => find(`${folder}${target}`.replace(/\/$/, "")).length === 0);
      assert.deepEqual(missing, [], page);
    }
  });
});

describe("verbsIn", () => {
  test("reads commands from code alone, through flags and seed flags", () => {
    const page =
      "p2prc is nice\n\n    $ ./p2prc --us --ls\n\n`p2prc --home /x ping attic`, `p2prc -s`, `p2prc nonsense`";
    assert.deepEqual(verbsIn(page).sort(), ["nonsense", "ping", "serve", "update"]);
  });
});

/** The verb of every `p2prc …` in code, once each. What comes with flags alone (`--version`) has none. */
function verbsIn(page: string): string[] {
  const inLine = Array.from(page.matchAll(/`([^`\n]+)`/g), ([, code]) => code ?? "");
  const lines = page.split("\n").filter((line) => /^(?: {4}|\s*\$|\|?\s*ExecStart)/.test(line));
  const found = [...lines, ...inLine].flatMap((code) =>
    Array.from(code.matchAll(/(?:^|[\s/])p2prc((?: +(?:[^\s`#|;&<>'"]+))+)/g), ([, rest = ""]) =>
      verbOf(rest.trim().split(/ +/)),
    ),
  );
  return [...new Set(found.filter((verb) => verb !== undefined))];
}

function verbOf(words: readonly string[]): string | undefined {
  const [first = "", second] = fromSeedFlags(words);
  if (!first.startsWith("-")) return /^[a-z]/.test(first) ? first : undefined;
  return first === "--home" && second !== undefined ? verbOf(words.slice(2)) : undefined;
}
