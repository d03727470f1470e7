import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { homePath } from "./home-path.ts";

describe("homePath", () => {
  test("is what is named, else a folder of the user's own", () => {
    assert.equal(homePath({ P2PRC_HOME: "/a/b" }, "/home/ada"), "/a/b");
    assert.equal(homePath({}, "/home/ada"), "/home/ada/.p2prc");
  });

  test("refuses an empty name: a variable that is not set would mean the real node", () => {
    for (const empty of ["", "  "])
      assert.throws(() => homePath({ P2PRC_HOME: empty }, "/home/ada"), { code: "bad-argument" });
  });
});
