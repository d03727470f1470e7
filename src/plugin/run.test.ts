import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { duplexPair } from "node:stream";
import { describe, test } from "node:test";
import { readEvent } from "./events.ts";
import { Gate } from "./gate.ts";
import { hostOf, sandboxOf } from "./host-names.ts";
import { type Inside, needsOf, readInside, type Target, unmetNeeds } from "./needs.ts";
import { Progress } from "./progress.ts";
import { RunBook } from "./run-book.ts";
import { portsAskedFor, withPorts } from "./template.ts";

describe("the first P2PRC's words in a playbook", () => {
  test("are numbers of ports, and nothing else is touched", () => {
    const playbook = "a {{index . 0}} {{ index . 1 }} {{ var }} {{ index.x }} {{ lookup('index . 0') }} {{index .}}";
    assert.equal(
      withPorts(playbook, [80, 81]),
      "a 80 81 {{ var }} {{ index.x }} {{ lookup('index . 0') }} {{index .}}",
    );
    assert.equal(portsAskedFor(playbook), 2);
    assert.equal(portsAskedFor("none"), 0);
    assert.throws(() => withPorts("{{index . 2}}", [80, 81]), { code: "bad-argument" });
  });
});

describe("what a plugin needs", () => {
  const target: Target = {
    ...{ id: "a", name: "box1", node: "attic", user: "root", hostKey: "k", cpus: 1, memoryBytes: 2 ** 30, gpus: 0 },
    ...{ network: "none", ports: [] },
  };
  const whole: Inside = { python: true, apt: true, users: 65_536, writable: true };

  test("is read out of a playbook that does not say it", () => {
    const seed = { form: "seed", needs: {} } as const;
    assert.deepEqual(needsOf(seed, "- apt:\n    name: curl\n"), { apt: true, network: "internet" });
    assert.deepEqual(needsOf(seed, "    shell: curl -fsSL https://x.org/install.sh | sh\n"), { network: "internet" });
    assert.deepEqual(needsOf(seed, "    shell: curl http://127.0.0.1:80/\n"), {});
    assert.deepEqual(needsOf({ form: "manifest", needs: {} }, "- apt:\n"), {});
  });

  test("is held against the sandbox, with what to type", () => {
    const fixes = (needs: Parameters<typeof unmetNeeds>[0], inside = whole) =>
      unmetNeeds(needs, target, inside).map(({ fix }) => fix);
    assert.deepEqual(fixes({}), []);
    assert.deepEqual(fixes({ cpus: 1, memory: "1G", gpus: 0, network: "none", apt: true }), []);
    assert.deepEqual(fixes({ cpus: 2, memory: "2G", gpus: 1, network: "internet" }), [
      ...["p2prc touch attic --cpus 2", "p2prc touch attic --memory 2G", "p2prc touch attic --gpu 1"],
      "p2prc touch attic --network internet",
    ]);
    const apt = ["p2prc touch attic --image debian:bookworm --profile dev"];
    assert.deepEqual(fixes({ apt: true }, { ...whole, users: 1 }), apt);
    assert.deepEqual(fixes({ apt: true }, { ...whole, writable: false }), apt);
    assert.deepEqual(fixes({}, { ...whole, python: false, apt: false }), ["p2prc touch attic --image python:3-slim"]);
    assert.deepEqual(fixes({}, { ...whole, python: false }), ["p2prc touch attic --network internet"]);
    assert.deepEqual(unmetNeeds({}, { ...target, network: "internet" }, { ...whole, python: false }), []);
  });

  test("is told by the inside in words of ours alone", () => {
    assert.deepEqual(readInside("users 1\nusers 65535\npython\nwritable\n"), {
      ...{ python: true, apt: false, users: 65_536, writable: true },
    });
    assert.deepEqual(readInside("sh: broken"), { python: false, apt: false, users: 0, writable: false });
  });
});

describe("a sandbox in the inventory", () => {
  test("has its name, but where that means something to Ansible", () => {
    assert.deepEqual(["box1", "all", "ungrouped", "localhost"].map(hostOf), [
      ...["box1", "all.p2prc", "ungrouped.p2prc", "localhost.p2prc"],
    ]);
    assert.deepEqual(["box1", "all.p2prc", "localhost"].map(sandboxOf), ["box1", "all", undefined]);
  });
});

describe("events of a playbook", () => {
  test("are read as a stranger's", () => {
    assert.deepEqual(readEvent('{"kind":"started","host":"box1","task":1}'), {
      kind: "started",
      host: "box1",
      task: 1,
    });
    for (const line of [
      "",
      "{",
      "null",
      '{"kind":"rm"}',
      '{"kind":"started","host":7,"task":1}',
      `{"kind":"task","task":1,"name":"${"x".repeat(3_000)}"}`,
    ]) {
      assert.equal(readEvent(line), undefined);
    }
  });

  test("tell how far each sandbox is, and where to go on", () => {
    const progress = new Progress(["box1", "box2"]);
    const result = (host: string, task: number, kind: "ok" | "failed") =>
      progress.take({ kind, host, task, changed: false, code: kind === "ok" ? 0 : 100, words: "no such package" });
    progress.take({ kind: "task", task: 1, name: "apt", start: "apt" });
    result("box1", 1, "ok");
    result("box2", 1, "ok");
    progress.take({ kind: "task", task: 2, name: "server", start: "include_tasks" });
    progress.take({ kind: "started", host: "box2", task: 2 });
    assert.deepEqual(
      progress.unfinished(),
      new Map([
        ["box1", "apt"],
        ["box2", "include_tasks"],
      ]),
    );
    result("box1", 2, "ok");
    result("box2", 2, "failed");
    progress.take({ kind: "host", host: "box1", done: true, changed: 0 });
    progress.take({ kind: "host", host: "box2", done: false, changed: 0 });
    progress.take({ kind: "host", host: "another", done: false, changed: 0 });
    assert.deepEqual(progress.unfinished(), new Map([["box2", "include_tasks"]]));
    assert.deepEqual(progress.hosts[1]?.failure, { task: 2, words: "no such package", code: 100 });
    assert.deepEqual(progress.hosts[1]?.cells, [
      { task: 1, state: "ok" },
      { task: 2, state: "failed" },
    ]);
    progress.take({ kind: "task", task: 3, name: "a handler", start: "" });
    result("box2", 3, "failed");
    assert.deepEqual(progress.unfinished(), new Map([["box2", undefined]]));
    assert.deepEqual(progress.starts(), ["apt", "include_tasks"]);
  });
});

describe("the book of runs", () => {
  test("finds the last run of a plugin that was on all of these, and keeps so many", async () => {
    await using place = await temporary();
    const book = new RunBook(place.path, { maxRuns: 2 });
    const ids: string[] = [];
    for (const targets of [["a", "b"], ["a", "b"], ["b"]]) {
      const { id } = await book.open(Date.UTC(2026, 0, 1, 0, 0, ids.length), Buffer.from([1, 2, 3, 4]));
      await book.write({ id, plugin: "x", digest: "d", values: {}, targets, unfinished: [], startAt: {}, order: [] });
      ids.push(id);
    }
    assert.equal(ids[0], "20260101T000000-01020304");
    assert.deepEqual((await readdir(join(place.path, "plugin-runs"))).toSorted(), ids.slice(1));
    assert.equal((await book.last("x", ["a"]))?.id, ids[1]);
    assert.equal((await book.last("x", ["b"]))?.id, ids[2]);
    assert.equal(await book.last("y", ["b"]), undefined);
    assert.equal(await book.last("x", ["c"]), undefined);
  });
});

describe("a run whose process was killed", () => {
  test("is over, and what it left goes with the next one; one that runs keeps what it has", async () => {
    await using place = await temporary();
    const book = new RunBook(place.path, { maxRuns: 3 });
    const [dead = "", alive = "", left = ""] = await Promise.all(
      [1, 2, 3].map(async (second) => (await book.open(second * 1_000, Buffer.alloc(4))).id),
    );
    for (const id of [dead, alive, left]) {
      await mkdir(join(place.path, `work-${id}`));
      await book.enter(id, join(place.path, `work-${id}`));
    }
    const gone = { pid: await endedProcess(), work: join(place.path, `work-${dead}`) };
    await writeFile(join(book.folderOf(dead), "running.json"), JSON.stringify(gone));
    await book.leave(left);
    assert.deepEqual(await book.over([dead, alive, left, "never-heard-of"]), [dead, left, "never-heard-of"]);
    const { id: next } = await new RunBook(place.path, { maxRuns: 1 }).open(4_000, Buffer.alloc(4));
    assert.deepEqual((await readdir(place.path)).toSorted(), ["plugin-runs", `work-${alive}`]);
    assert.deepEqual((await readdir(join(place.path, "plugin-runs"))).toSorted(), [alive, next]);
  });
});

describe("the gate of a plugin behind walls", () => {
  test("opens the sandboxes of its run, and nothing else", async () => {
    await using place = await temporary();
    const path = join(place.path, "gate");
    const opened: string[] = [];
    await using _gate = await Gate.open({
      path,
      targets: new Set(["aaaabbbbccccdddd"]),
      open: async (target) => {
        opened.push(target);
        const [near, far] = duplexPair();
        far.on("data", (bytes: Buffer) => far.end(`heard ${bytes.toString()}`));
        return near;
      },
    });
    assert.equal(await said(path, "aaaabbbbccccdddd.p2prc\nSSH-2.0"), "heard SSH-2.0");
    for (const word of [
      "zzzzbbbbccccdddd.p2prc\n",
      "../x\n",
      "/v1/boxes\n",
      "GET /v1/status HTTP/1.1\r\n\r\n",
      "x".repeat(100),
      "\n",
    ]) {
      assert.equal(await said(path, word), "", word);
    }
    assert.deepEqual(opened, ["aaaabbbbccccdddd"]);
  });
});

async function said(path: string, words: string): Promise<string> {
  const socket = connect(path);
  socket.on("error", () => undefined).write(words);
  let heard = "";
  for await (const bytes of socket as AsyncIterable<Buffer>) heard += bytes.toString();
  return heard;
}

async function endedProcess(): Promise<number> {
  const child = spawn(process.execPath, ["--version"], { stdio: "ignore" });
  await once(child, "exit");
  return child.pid ?? 0;
}

async function temporary() {
  const path = await mkdtemp(join(tmpdir(), "p2prc-run-test-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}
