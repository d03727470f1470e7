import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { describe, test } from "node:test";
import { VirtualClock } from "../../test/support/virtual-clock.ts";
import { Failure } from "../core/index.ts";
import type { H2Link } from "./h2-link.ts";
import type { PathKind } from "./link.ts";
import { type Attempt, race, type Way } from "./race.ts";

describe("race", () => {
  test("prefers IPv6 when both answer", async () => {
    const lab = new Lab([six({ opensAfterMs: 90 }), four({ opensAfterMs: 1 })]);
    assert.equal(await lab.run(1_000), "six");
    assert.deepEqual(lab.outcomes, ["tcp6 open"]);
  });

  test("starts IPv4 after 250 ms when IPv6 is silent, and cancels IPv6", async () => {
    const lab = new Lab([six({}), four({ opensAfterMs: 30 })]);
    assert.equal(await lab.run(280), "four");
    assert.deepEqual(lab.outcomes.sort(), ["tcp4 open", "tcp6 cancelled"]);
    assert.deepEqual(lab.reasons.sort(), ["", "left for the tcp4 path"]);
  });

  test("says by which kind of path it got there, whatever the way was taken for", async () => {
    const lab = new Lab([four({ opensAfterMs: 5, leadsTo: "tcp6" })]);
    await lab.run(10);
    assert.deepEqual(lab.outcomes, ["tcp6 open"]);
  });

  test("starts IPv4 at once when IPv6 fails", async () => {
    const lab = new Lab([six({ failsAfterMs: 5 }), four({ opensAfterMs: 5 })]);
    assert.equal(await lab.run(10), "four");
    assert.deepEqual(lab.outcomes, ["tcp6 unreachable", "tcp4 open"]);
  });

  test("starts IPv4 at once when there is no IPv6 to wait for", async () => {
    const lab = new Lab([four({ opensAfterMs: 5 })]);
    assert.equal(await lab.run(5), "four");
  });

  test("counts the later ways from the first one there is", async () => {
    const relay = four({ opensAfterMs: 5, delayMs: 2_000 });
    const lab = new Lab([four({}), relay]);
    assert.equal(await lab.run(1_750 + 5), "four");
    assert.deepEqual(lab.outcomes.sort(), ["tcp4 cancelled", "tcp4 open"]);
  });

  test("fails with what each way said when all fail", async () => {
    const lab = new Lab([six({ failsAfterMs: 5 }), four({ failsAfterMs: 5, code: "timed-out" })]);
    const failure = await lab.run(1_000);
    assert.ok(failure instanceof Failure && failure.code === "unreachable");
    assert.equal(failure.message, "six: unreachable; four: timed-out");
  });

  test("says that the key is wrong rather than that nobody answered", async () => {
    const lab = new Lab([six({ failsAfterMs: 5 }), four({ failsAfterMs: 5, code: "wrong-key" })]);
    const failure = await lab.run(1_000);
    assert.ok(failure instanceof Failure && failure.code === "wrong-key");
  });

  test("says so when there is no way at all", async () => {
    const failure = await new Lab([]).run(0);
    assert.ok(failure instanceof Failure && failure.message === "no address of that node is known");
  });

  test("closes a link that came up too late", async () => {
    const late = six({ opensAfterMs: 260, stubborn: true });
    const lab = new Lab([late, four({ opensAfterMs: 5 })]);
    assert.equal(await lab.run(300), "four");
    assert.deepEqual(lab.closed, ["six"]);
  });

  test("ends at once when it is told to, and leaves no listener", async () => {
    const lab = new Lab([six({})]);
    const result = lab.run(100);
    lab.stop.abort(new Error("enough"));
    assert.match(String(await result), /enough/);
    assert.deepEqual(getEventListeners(lab.stop.signal, "abort"), []);
    assert.equal(lab.clock.sleeperCount, 0);
  });

  test("lets a defect through", async () => {
    const way: Way = { ...six({}).way(new Lab([])), open: () => Promise.reject(new TypeError("defect")) };
    const signal = new AbortController().signal;
    await assert.rejects(race([way], { clock: new VirtualClock(), onAttempt: () => {} }, signal), /defect/);
  });
});

interface Fate {
  readonly opensAfterMs?: number;
  readonly failsAfterMs?: number;
  readonly code?: "unreachable" | "timed-out" | "wrong-key";
  /** @default 0 for IPv6, 250 for IPv4 */
  readonly delayMs?: number;
  /** Does not stop when it is cancelled. */
  readonly stubborn?: boolean;
  /** @default its own kind */
  readonly leadsTo?: PathKind;
}

function six(fate: Fate) {
  return { way: (lab: Lab): Way => lab.way("six", fate) };
}

function four(fate: Fate) {
  return { way: (lab: Lab): Way => lab.way("four", fate) };
}

/** Ways whose fate is known, in virtual time. */
class Lab {
  readonly clock = new VirtualClock();
  readonly stop = new AbortController();
  readonly closed: string[] = [];
  readonly #ways: readonly Way[];
  readonly #attempts: Attempt[] = [];

  constructor(ways: readonly { way(lab: Lab): Way }[]) {
    this.#ways = ways.map((each) => each.way(this));
  }

  get outcomes(): string[] {
    return this.#attempts.map(({ path, outcome }) => `${path} ${outcome}`);
  }

  get reasons(): string[] {
    return this.#attempts.map(({ reason }) => reason);
  }

  /** The name of the winner, or what it failed with. */
  async run(ms: number): Promise<unknown> {
    const result = race(
      this.#ways,
      { clock: this.clock, onAttempt: (attempt) => this.#attempts.push(attempt) },
      this.stop.signal,
    ).then(
      (link) => link.path.remote,
      (error: unknown) => error,
    );
    await this.clock.advance(ms);
    return await result;
  }

  way(
    name: "six" | "four",
    { opensAfterMs, failsAfterMs, code = "unreachable", stubborn = false, delayMs, leadsTo }: Fate,
  ): Way {
    const kind = name === "six" ? "tcp6" : "tcp4";
    return {
      kind,
      address: name,
      delayMs: delayMs ?? (name === "six" ? 0 : 250),
      open: async (signal) => {
        await this.clock.sleep(opensAfterMs ?? failsAfterMs ?? 1e9, stubborn ? new AbortController().signal : signal);
        if (failsAfterMs !== undefined) throw new Failure(code, `${name}: ${code}`);
        return {
          path: { kind: leadsTo ?? kind, remote: name },
          close: () => void this.closed.push(name),
        } as unknown as H2Link;
      },
    };
  }
}
