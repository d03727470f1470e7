import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { localProof, localSocket } from "./local-socket.ts";

const linux = { platform: "linux", uid: 1000 } as const;
const windows = { platform: "win32", uid: undefined } as const;

describe("localSocket", () => {
  test("lies in the home", () => {
    assert.deepEqual(localSocket("/home/ada/.p2prc", linux), { path: "/home/ada/.p2prc/daemon.sock" });
  });

  test("moves to a short folder of the user's own when the home's path is long", () => {
    const { path, runtimeFolder } = localSocket(`/${"long/".repeat(40)}home`, linux);
    assert.equal(runtimeFolder, "/tmp/p2prc-1000");
    assert.match(path, /^\/tmp\/p2prc-1000\/[0-9a-f]{24}\.sock$/);
  });

  test("counts bytes, not characters", () => {
    assert.notEqual(localSocket(`/home/${"ü".repeat(44)}`, linux).runtimeFolder, undefined);
  });

  test("is another one for another long home", () => {
    const paths = ["a", "b"].map((name) => localSocket(`/${"long/".repeat(40)}${name}`, linux).path);
    assert.notEqual(paths[0], paths[1]);
  });

  test("is a pipe on Windows, whose name hangs on the home and the token", () => {
    const { path } = localSocket("C:\\Users\\Ada\\.p2prc", { ...windows, token: "t" });
    assert.match(path, /^\\\\\.\\pipe\\p2prc-[0-9a-f]{24}$/);
    assert.equal(localSocket("c:\\users\\ada\\.p2prc", { ...windows, token: "t" }).path, path);
    assert.notEqual(localSocket("C:\\Users\\Ada\\.p2prc", { ...windows, token: "u" }).path, path);
  });
});

describe("localProof", () => {
  test("differs by token, side and nonce", () => {
    const proofs = [localProof("t", "client", "1"), localProof("u", "client", "1"), localProof("t", "daemon", "1"), localProof("t", "client", "2")];
    assert.equal(new Set(proofs).size, 4);
  });
});
