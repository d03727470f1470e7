import assert from "node:assert/strict";
import { test } from "node:test";
import { Value } from "typebox/value";
import { Sandbox } from "./guest.ts";

const user = Sandbox.properties.user;
const hostKey = Sandbox.properties.hostKey;

test("a node says of its sandbox a user and a key that mean nothing to ssh or Ansible but themselves", () => {
  for (const one of ["root", "guest", "www-data", "_apt"]) assert.ok(Value.Check(user, one), one);
  for (const one of [
    "",
    "{{ lookup('pipe', 'id') }}",
    "root ProxyCommand=x",
    "a\nb",
    "-oProxyCommand=x",
    "%h",
    "$(id)",
  ])
    assert.ok(!Value.Check(user, one), one);
  assert.ok(Value.Check(hostKey, `ssh-ed25519 ${"A".repeat(68)}`));
  for (const one of ["", "ssh-ed25519 AAAA", `ssh-ed25519 ${"A".repeat(68)} x`, `@cert-authority * ${"A".repeat(68)}`])
    assert.ok(!Value.Check(hostKey, one), one);
});
