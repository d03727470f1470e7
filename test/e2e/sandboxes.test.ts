import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { after, afterEach, before, describe, test } from "node:test";
import { bubblewrapSkip } from "../support/bubblewrap-world.ts";
import { LendingLab, untilTrue } from "../support/lending-lab.ts";

/** Two machines: barn is a guest of attic, which lends with bubblewrap. */
describe("sandboxes from the command line", { skip: bubblewrapSkip(), timeout: 300_000 }, () => {
  let lab: LendingLab;
  before(async () => {
    lab = await LendingLab.open();
  });
  afterEach(async () => {
    for (const name of await lab.held()) await lab.barn("rm", name);
  });
  after(async () => await lab[Symbol.asyncDispose]());

  test("pass output, input, exit codes and signals through, byte for byte", async () => {
    const touched = await lab.barn("touch", "attic", "--name", "box", "--ttl", "1h");
    assert.match(touched.lines.join("\n"), /^box on attic {3}running \(.*\) {3}ends \d\d:\d\d/m);

    const ended = await lab.bytes(["exec", "box", "--", "sh", "-c", "echo out; echo err >&2; exit 7"]);
    assert.deepEqual([ended.exit, String(ended.stdout), String(ended.stderr)], [7, "out\n", "err\n"]);

    const input = randomBytes(3 * 2 ** 20);
    const copied = await lab.bytes(["exec", "box", "--", "cat"], input);
    assert.equal(copied.exit, 0, String(copied.stderr));
    assert.equal(hash(copied.stdout), hash(input));

    assert.equal((await lab.bytes(["exec", "box", "--", "sh", "-c", "kill -TERM $$"])).exit, 143);
    assert.equal((await lab.bytes(["exec", "box", "--", "no-such-program"])).exit, 127);
    const words = await lab.bytes([
      "exec",
      "-e",
      "A=b c",
      "-w",
      "/tmp",
      "box",
      "--",
      "sh",
      "-c",
      'echo "$A $PWD $1"',
      "-",
      "$(x); y",
    ]);
    assert.equal(String(words.stdout), "b c /tmp $(x); y\n");
  });

  test("live on when their node goes away in the middle of a command, and say so", async () => {
    await lab.barn("touch", "attic", "--name", "box");
    const running = await lab.machines.start("barn", ["exec", "box", "--", "sh", "-c", "echo begun; sleep 60"]);
    await running.until((lines) => lines.includes("begun"));
    await lab.killAttic();
    const { exit, lines } = await running.ended;
    assert.equal(exit, 4, lines.join("\n"));
    assert.match(lines.join("\n"), /p2prc: .*cut off/);
    await lab.startAttic();
    assert.equal((await lab.barn("exec", "box", "--", "true")).exit, 0);
  });

  test("are removed by `run` at its end and after Ctrl-C, and its exit code passes through", async () => {
    const ran = await lab.bytes(["run", "attic", "--", "sh", "-c", "cat; exit 3"], Buffer.from("hello"));
    assert.deepEqual([ran.exit, String(ran.stdout)], [3, "hello"]);
    const running = await lab.machines.start("barn", ["run", "attic", "--", "sh", "-c", "echo begun; sleep 60"]);
    await running.until((lines) => lines.includes("begun"));
    running.child.kill("SIGINT");
    assert.equal((await running.ended).exit, 130);
    assert.deepEqual(await lab.held(), []);
    assert.deepEqual(await lab.lent(), []);
  });

  test("are removed later where their node is away", async () => {
    await lab.barn("touch", "attic", "--name", "box");
    await lab.killAttic();
    const removed = await lab.barn("rm", "box");
    // Where it takes longer than a second to see that nobody is there, it says what it is doing.
    assert.deepEqual(
      [removed.exit, removed.lines.at(-1)],
      [0, "attic has not confirmed it: box is removed there as soon as it can"],
    );
    await lab.startAttic();
    await untilTrue(async () => (await lab.lent()).length === 0);
  });

  test("are paused, kicked and frozen by their owner, and their guest sees it", async () => {
    await lab.barn("touch", "attic", "--name", "box");
    assert.deepEqual(await lab.lent(), ["box"]);
    assert.equal((await lab.attic("pause", "box")).exit, 0);
    const refused = await lab.barn("exec", "box", "--", "true");
    assert.notEqual(refused.exit, 0);
    assert.match(refused.lines.join("\n"), /paused/);
    assert.equal((await lab.attic("resume", "box")).exit, 0);
    assert.equal((await lab.barn("exec", "box", "--", "true")).exit, 0);
    assert.equal((await lab.attic("kick", "box")).exit, 0);
    await untilTrue(async () => (await lab.held()).length === 0);
    assert.match((await lab.attic("usage")).lines.join("\n"), /SANDBOXES/);
  });

  test("are prolonged, and listed by each side", async () => {
    await lab.barn("touch", "attic", "--name", "box", "--ttl", "1h");
    assert.match((await lab.barn("extend", "box", "2h")).lines.join("\n"), /^box ends \d\d:\d\d \(in (2h|1h59m)\)$/);
    assert.match((await lab.barn("ps")).lines.join("\n"), /^box +attic +[a-z2-7]{16} .* running$/m);
    assert.match((await lab.barn("top")).lines.join("\n"), /^box +attic +\d+% /m);
    const grantExceeded = await lab.barn("touch", "attic", "--memory", "1T");
    assert.match(grantExceeded.lines.join("\n"), /allowed are|free/);
    assert.equal(grantExceeded.exit === 0, false);
    const noGpu = await lab.barn("--touch", "attic", "--GPU");
    assert.match(noGpu.lines.join("\n"), /GPU/);
    assert.notEqual(noGpu.exit, 0);
  });
});

function hash(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
