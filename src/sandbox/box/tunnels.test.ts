import assert from "node:assert/strict";
import { duplexPair } from "node:stream";
import { text } from "node:stream/consumers";
import { describe, test } from "node:test";
import { Failure } from "../../core/index.ts";
import type { StreamWish } from "../ask.ts";
import { boxTunnels } from "./tunnels.ts";

const { signal } = new AbortController();
const local = { kind: "local" } as const;

describe("the byte streams of a box", () => {
  for (const [target, box, wish] of [
    ["box-exec:my-box@attic", "my-box@attic", { kind: "exec" }],
    ["box-ssh:box", "box", { kind: "ssh" }],
    ["box-port:box/8080", "box", { kind: "port", port: 8080 }],
    ["box-files:box/put/a dir/b?x=1", "box", { kind: "put", path: "a dir/b?x=1" }],
    ["box-files:box/get//etc/passwd", "box", { kind: "get", path: "/etc/passwd" }],
  ] as const) {
    test(`${target} is joined to its node`, async () => {
      const asked: [string, StreamWish][] = [];
      const [far, inside] = duplexPair();
      inside.end("from inside");
      const [, kind, rest = ""] = /^(.*?):(.*)$/s.exec(target) ?? [];
      const connect = async (name: string, what: StreamWish) => {
        asked.push([name, what]);
        return far;
      };
      const row = boxTunnels({ connect }).find((one) => one.kind === kind);
      assert.deepEqual(row?.admits, ["local"]);
      const [near, person] = duplexPair();
      (await row?.open(rest, local, signal))?.(near);
      assert.equal(await text(person), "from inside");
      assert.deepEqual(asked, [[box, wish]]);
    });
  }

  for (const target of [
    "box-port:box",
    "box-port:box/0",
    "box-port:box/65536",
    "box-port:/80",
    "box-files:box/move/x",
    "box-files:/put/x",
  ]) {
    test(`${target} is refused`, async () => {
      const [kind = "", rest = ""] = target.split(":");
      const row = boxTunnels({ connect: () => assert.fail() }).find((one) => one.kind === kind);
      await assert.rejects(
        async () => await row?.open(rest, local, signal),
        (error) => error instanceof Failure && error.code === "bad-argument",
      );
    });
  }
});
