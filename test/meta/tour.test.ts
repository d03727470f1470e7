import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { compare, type Memory, parseTranscript, type Typed } from "../support/transcript.ts";
import { read } from "./repository.ts";

const transcript = parseTranscript(read("test/transcripts/first-steps.txt"));
const tour = parseTranscript(asTyped(sectionOf(read("README.md"), "Five minutes")));

describe("the five minutes of the README", () => {
  test("are there", () => {
    assert.ok(tour.length >= 8, String(tour.length));
  });

  const memory: Memory = new Map();
  for (const typed of tour) {
    test(`are what a test types: ${typed.machine}$ ${typed.command.slice(0, 40)}`, () => {
      const tried = transcript.find((one) => isSame(one, typed));
      assert.ok(tried !== undefined, "test/transcripts/first-steps.txt does not type it");
      assert.equal(compare(tried.expected, typed.expected, memory), undefined);
    });
  }
});

test("a tour that says something else is noticed", () => {
  const [typed] = parseTranscript("barn$ p2prc ls\nNAME  WAY\n");
  const tried = transcript.find((one) => typed !== undefined && isSame(one, typed));
  assert.notEqual(compare(tried?.expected ?? [], typed?.expected ?? [], new Map()), undefined);
});

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
