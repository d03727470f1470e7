import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { tryNamespaces, unlocking } from "./try-namespaces.ts";

const { signal } = new AbortController();

describe("tryNamespaces", () => {
  test("says that it cannot be done where the system refuses", { skip: process.platform !== "linux" }, async () => {
    await assert.rejects(tryNamespaces({ unshare: "/bin/false" }, signal), { code: "not-supported" });
  });

  test("passes on that it was given up", async () => {
    const reason = new Error("given up");
    await assert.rejects(tryNamespaces({ unshare: "/bin/false" }, AbortSignal.abort(reason)), reason);
  });
});

describe("unlocking", () => {
  test("knows Ubuntu's rule, Debian's old one, and the kernel's own limit", () => {
    assert.match(unlocking(["1\n", "1\n", "100\n"]), /apparmor/i);
    assert.match(unlocking(["", "0\n", "100\n"]), /unprivileged_userns_clone=1/);
    assert.match(unlocking(["0", "", "0\n"]), /max_user_namespaces/);
    assert.match(unlocking(["", "", "100\n"]), /container/);
  });
});
