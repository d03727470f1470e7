import assert from "node:assert/strict";
import { test } from "node:test";
import { localProof } from "./local-proof.ts";

test("a local proof differs by token, side and nonce", () => {
  const proofs = [
    localProof("t", "client", "1"),
    localProof("u", "client", "1"),
    localProof("t", "daemon", "1"),
    localProof("t", "client", "2"),
  ];
  assert.equal(new Set(proofs).size, 4);
});
