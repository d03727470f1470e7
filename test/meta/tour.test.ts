import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { compare, type Memory, parseTranscript, type Typed } from "../support/transcript.ts";
import { read } from "./repository.ts";

const transcript = transcriptOf("first-steps.txt");

for (const { title, file, least } of [
  { title: "Five minutes", file: "first-steps.txt", least: 8 },
  { title: "A sandbox", file: "sandboxes.txt", least: 5 },
]) {
  describe(`"${title}" in the README`, () => {
    const steps = tourOf(title);
    test("is there", () => {
      assert.ok(steps.length >= least, String(steps.length));
    });

    const memory: Memory = new Map();
    for (const typed of steps) {
      test(`is what a test types: ${typed.machine}$ ${typed.command.slice(0, 40)}`, () => {
        const tried = transcriptOf(file).find((one) => isSame(one, typed));
        assert.ok(tried !== undefined, `test/transcripts/${file} does not type it`);
        assert.equal(compare(tried.expected, typed.expected, memory), undefined);
      });
    }
  });
}

test("a tour that says something else is noticed", () => {
  const [typed] = parseTranscript("barn$ p2prc ls\nNAME  WAY\n");
  const tried = transcript.find((one) => typed !== undefined && isSame(one, typed));
  assert.notEqual(compare(tried?.expected ?? [], typed?.expected ?? [], new Map()), undefined);
});

function transcriptOf(file: string): readonly Typed[] {
  return parseTranscript(read(`test/transcripts/${file}`));
}

function tourOf(title: string): readonly Typed[] {
  return parseTranscript(asTyped(sectionOf(read("README.md"), title)));
}

function isSame(tried: Typed, typed: Typed): boolean {
  const command = tried.command.replace(/ &$/, "");
  return tried.machine === typed.machine && compare([command], [typed.command], new Map()) === undefined;
}

/** The README speaks of two machines and the default port, the test of two homes and a free one. */
function asTyped(page: string): string {
  return page
    .split("\n")
    .map((line) => line.replace(/^ {4}/, ""))
    .join("\n")
    .replaceAll("[::]:8088 (IPv6 and IPv4)", "127.0.0.1:8088")
    .replaceAll("192.0.2.7", "127.0.0.1");
}

function sectionOf(page: string, title: string): string {
  return page.split(/^## /m).find((section) => section.startsWith(`${title}\n`)) ?? "";
}
