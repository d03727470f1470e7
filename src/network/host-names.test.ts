import assert from "node:assert/strict";
import { test } from "node:test";
import { HostNames } from "./host-names.ts";

const never = new AbortController().signal;

test("two names are looked up at a time, and one name once for all who want it", async () => {
  const asked: string[] = [];
  const answers: (() => void)[] = [];
  const names = new HostNames((host) => {
    asked.push(host);
    return new Promise((resolve) => answers.push(() => resolve([host])));
  });
  const found = ["a", "b", "a", "c"].map((host) => names.resolve(host, never));
  await Promise.resolve();
  assert.deepEqual(asked, ["a", "b"]);
  answers[0]?.();
  await found[0];
  assert.deepEqual(asked, ["a", "b", "c"]);
  for (const answer of answers) answer();
  assert.deepEqual(await Promise.all(found), [["a"], ["b"], ["a"], ["c"]]);
});

test("a name that nobody knows has no addresses, and a defect is one", async () => {
  const unknown = new HostNames(() => Promise.reject(Object.assign(new Error("no"), { syscall: "getaddrinfo" })));
  assert.deepEqual(await unknown.resolve("a", never), []);
  const broken = new HostNames(() => Promise.reject(new TypeError("a defect")));
  await assert.rejects(broken.resolve("a", never), TypeError);
});
