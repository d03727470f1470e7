import assert from "node:assert/strict";
import { test } from "node:test";
import { remoteGroup } from "./remote-group.ts";

test("callers of one machine count as one: IPv4 by the address, IPv6 by its /64, all else by its text", () => {
  assert.equal(remoteGroup("[2001:db8::1]:1"), remoteGroup("[2001:db8::ffff:2]:2"));
  assert.notEqual(remoteGroup("[2001:db8::1]:1"), remoteGroup("[2001:db8:0:1::1]:1"));
  assert.equal(remoteGroup("192.0.2.7:1"), remoteGroup("192.0.2.7:2"));
  assert.notEqual(remoteGroup("192.0.2.7:1"), remoteGroup("192.0.2.8:1"));
  assert.equal(remoteGroup("memory"), "memory");
});
