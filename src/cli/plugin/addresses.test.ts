import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Client } from "../../client/index.ts";
import { Progress } from "../../plugin/index.ts";
import { openAddresses, withPath } from "./addresses.ts";

const BEGIN = "http://box1.p2prc.localhost:8087/?p2prc-token=secret";

describe("the path of a plugin", () => {
  test("keeps what lets one in, and adds its own words to it", () => {
    assert.equal(withPath(BEGIN, "/lab"), "http://box1.p2prc.localhost:8087/lab?p2prc-token=secret");
    assert.equal(
      withPath(BEGIN, "/lab?folder=/home&x=a%20b#top"),
      "http://box1.p2prc.localhost:8087/lab?p2prc-token=secret&folder=%2Fhome&x=a+b#top",
    );
  });

  for (const path of [
    "//evil.example/x",
    "/\\evil.example/x",
    "/@evil.example/",
    "/x?p2prc-token=y#http://evil.example/",
  ]) {
    test(`names no other machine: ${path}`, () => {
      const { host, searchParams } = new URL(withPath(BEGIN, path));
      assert.deepEqual([host, searchParams.get("p2prc-token")], ["box1.p2prc.localhost:8087", "secret"]);
    });
  }
});

describe("addresses of a plugin", () => {
  test("are those of sandboxes where it came to its end, for ports that it has", async () => {
    const progress = new Progress(["box1", "box2"]);
    progress.take({ kind: "host", host: "box1", done: true, changed: 0 });
    progress.take({ kind: "host", host: "box2", done: false, changed: 0 });
    const opened: unknown[] = [];
    const client = {
      openPort: async (id: string, { internal }: { internal: number }) => {
        opened.push([id, internal]);
        return { host: "127.0.0.1", local: 4_000, internal };
      },
    } as unknown as Client;
    const plugin = { ports: [{ name: "http" }], urls: [{ port: "http", path: "/lab" }, { port: "gone" }] };
    const targets = ["box1", "box2"].map((name) => ({ name, id: name }));
    const { signal } = new AbortController();
    const addresses = await openAddresses(
      client,
      { plugin, targets, ports: [8_888], outcome: { progress } },
      { signal },
    );
    assert.deepEqual([...addresses], [["box1", ["http://127.0.0.1:4000/lab"]]]);
    assert.deepEqual(opened, [["box1", 8_888]]);
  });
});
