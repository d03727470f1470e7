/**
 * What a guest may set off inside a sandbox, while another sandbox works and the owner's node is asked. Speeds are compared
 * with those of a moment before, on the same machine.
 */

import assert from "node:assert/strict";
import { once } from "node:events";
import { request } from "node:https";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { cgroupSources, openCgroups } from "../../src/sandbox/runtime/bubblewrap/open-cgroups.ts";
import { bubblewrapSkip } from "../support/bubblewrap-world.ts";
import { LendingLab } from "../support/lending-lab.ts";

/** The promised numbers hold on a machine that does nothing else: `P2PRC_BOMBS=strict`. The gate looks for nodes and sandboxes that stop. */
const strict = process.env["P2PRC_BOMBS"] === "strict";
/** How long each goes on. */
const BOMB_MS = strict ? 5_000 : 2_000;
const COUNT_S = 2;
/** Counts as fast as it may, and says how far it got. */
const COUNT = 'trap "echo \\$i; exit 0" TERM; i=0; while :; do i=$((i+1)); done';
const MAX_ANSWER_MS = strict ? 500 : 10_000;
const MIN_SPEED = strict ? 0.85 : 0.05;
/** Somebody else's programs may take the cores for a moment: what holds once, the bomb did not prevent. */
const TRIES = 3;
/** Speeds without a bomb that differ by more, before and after, say that others are at work here. */
const MAX_NOISE = 0.1;

const bombs = {
  fork: "f() { f | f & f; }; f",
  memory: "while :; do tail /dev/zero; done",
  disk: "dd if=/dev/zero of=$HOME/large bs=1M count=3000; sleep 10",
  log: "yes 0123456789012345678901234567890123456789",
  inode: "i=0; while :; do : > $HOME/file$i; i=$((i+1)); done",
};

describe("a bomb in a sandbox", { skip: await whyNot(), timeout: 240_000 }, () => {
  let lab: LendingLab;
  before(async () => {
    lab = await LendingLab.open();
    await touch(lab, "--name", "quiet", "--cpus", "0.5", "--memory", "256M");
  });
  after(async () => await lab[Symbol.asyncDispose]());

  for (const [kind, script] of Object.entries(bombs)) {
    test(`of ${kind} slows neither the node nor another sandbox`, async (t) => {
      const tries: Try[] = [];
      while (tries.length < TRIES && !tries.some(({ kept }) => kept >= MIN_SPEED))
        tries.push(await setOff(lab, script));
      const answers = tries.flatMap((one) => one.answers);
      assert.ok(answers.length > (strict ? 20 : 2), `asked ${answers.length} times`);
      assert.ok(Math.max(...answers) < MAX_ANSWER_MS, `an answer took ${Math.max(...answers)} ms`);
      const said = tries.map(({ kept, noise }) => `${kept.toFixed(2)} (± ${noise.toFixed(2)})`).join(", ");
      if (tries.some(({ kept }) => kept >= MIN_SPEED)) return;
      if (tries.every(({ noise }) => noise > MAX_NOISE))
        t.skip(`SKIPPED: too much else runs here to compare speeds: ${said}`);
      else assert.fail(`the other sandbox kept ${said} of its speed`);
    });
  }
});

interface Try {
  /** Of the speed of the other sandbox. */
  readonly kept: number;
  /** By how much its speeds without the bomb differed. */
  readonly noise: number;
  /** How long the node took to answer, in milliseconds. */
  readonly answers: readonly number[];
}

async function setOff(lab: LendingLab, script: string): Promise<Try> {
  const earlier = await count(lab);
  await touch(lab, "--name", "bomb", "--cpus", "1", "--memory", "256M", "--disk", "128M", "--", "sh", "-c", script);
  const ended = new AbortController();
  const asking = askAgainAndAgain(lab.port, ended.signal);
  asking.catch(() => undefined); // heard of below
  const [beside] = await Promise.all([count(lab), sleep(BOMB_MS)]);
  ended.abort();
  const answers = await asking;
  const removed = await lab.barn("rm", "bomb");
  assert.equal(removed.exit, 0, removed.lines.join("\n"));
  const later = await count(lab);
  return {
    kept: (2 * beside) / (earlier + later),
    noise: Math.abs(earlier - later) / Math.max(earlier, later),
    answers,
  };
}

async function touch(lab: LendingLab, ...words: string[]): Promise<void> {
  const { exit, lines } = await lab.barn("touch", "attic", ...words);
  assert.equal(exit, 0, lines.join("\n"));
}

/** How far the quiet sandbox counts in its time. */
async function count(lab: LendingLab): Promise<number> {
  const { stdout, stderr } = await lab.bytes(["exec", "quiet", "--", "timeout", String(COUNT_S), "sh", "-c", COUNT]);
  const counted = Number(String(stdout).split("\n")[0]); // the signal may come twice
  assert.ok(counted > 1_000, `counted ${String(stdout)} ${String(stderr)}`);
  return counted;
}

/** `GET /v1/node` by somebody without a key. @returns how long each took, in milliseconds */
async function askAgainAndAgain(port: number, signal: AbortSignal): Promise<readonly number[]> {
  const took: number[] = [];
  while (!signal.aborted) {
    const begun = performance.now();
    const asking = request({
      host: "127.0.0.1",
      port,
      path: "/v1/node",
      rejectUnauthorized: false,
      agent: false,
    }).end();
    const [reply] = (await once(asking, "response")) as [NodeJS.ReadableStream & { readonly statusCode: number }];
    assert.equal(reply.statusCode, 200);
    reply.resume();
    await once(reply, "end");
    took.push(performance.now() - begun);
    await sleep(100);
  }
  return took;
}

async function whyNot(): Promise<string | false> {
  const why = bubblewrapSkip();
  if (why !== false) return why;
  const { holds } = await openCgroups(await cgroupSources());
  const missing = (["cpu", "memory", "pids"] as const).filter((controller) => !holds.has(controller));
  return (
    missing.length > 0 && `SKIPPED: bombs need control groups for ${missing.join(", ")}, which this user may not make`
  );
}
