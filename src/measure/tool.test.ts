import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { toolRunner } from "./tool.ts";

const never = new AbortController().signal;
const node = (script: string) => [process.execPath, ["-e", script]] as const;

describe("a tool", () => {
  test("tells its exit code and what it wrote", async () => {
    const [program, args] = node("console.log('out'); console.error('err'); process.exitCode = 9");
    assert.deepEqual(await toolRunner()(program, args, never), {
      kind: "ran",
      exit: 9,
      stdout: "out\n",
      stderr: "err\n",
    });
  });

  test("may be missing", async () => {
    assert.deepEqual(await toolRunner()("p2prc-no-such-tool", [], never), { kind: "missing" });
  });

  test("that hangs is killed when its time is over", { timeout: 10_000 }, async () => {
    const [program, args] = node("process.on('SIGTERM', () => {}); setInterval(() => {}, 1000)");
    assert.deepEqual(await toolRunner(300)(program, args, never), { kind: "cut-off", why: "no answer within 0.3 s" });
  });

  test("that writes without end is killed", { timeout: 10_000 }, async () => {
    const [program, args] = node("setInterval(() => process.stdout.write('x'.repeat(65536)), 1)");
    assert.deepEqual(await toolRunner()(program, args, never), { kind: "cut-off", why: "it said too much" });
  });

  test("ends when it is aborted", { timeout: 10_000 }, async () => {
    const leave = new AbortController();
    const [program, args] = node("setInterval(() => {}, 1000)");
    const running = assert.rejects(toolRunner()(program, args, leave.signal), { name: "AbortError" });
    leave.abort();
    await running;
  });
});
