import assert from "node:assert/strict";
import { test } from "node:test";
import { withOwnPasswd } from "./own-passwd.ts";

test("changes where a library looks for users, and nothing else", () => {
  const before = Buffer.from("ELF\0/etc/passwd\0/etc/passwd\0/etc/passwd-\0/etc/group\0");
  const after = withOwnPasswd(before);
  assert.equal(String(after), "ELF\0/run/passwd\0/run/passwd\0/etc/passwd-\0/etc/group\0");
  assert.equal(after?.length, before.length);
  assert.ok(String(before).includes("/etc/passwd\0"), "what was read stays as it is");
});

test("leaves a library alone that knows of no users", () => {
  assert.equal(withOwnPasswd(Buffer.from("ELF\0/etc/passwd-\0")), undefined);
});
