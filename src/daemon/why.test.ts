import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { fakeId } from "../../test/support/fake-link.ts";
import type { Attempt, Hindrance, Path } from "../network/index.ts";
import type { Why } from "./contract.ts";
import { whyOf } from "./why.ts";

const [attic, garage] = [fakeId(1), fakeId(2)];
const dialled: Path = { kind: "tcp4", remote: "192.0.2.7:8088" };
const relayed: Path = { kind: "relayed", remote: "via garage", via: garage };

describe("why a node is reached as it is", () => {
  test("marks the attempt that led to the path in use, the last of them, and names the path", () => {
    const attempts = [
      tried("tcp4", dialled.remote),
      tried("tcp6", "[2001:db8::7]:8088"),
      tried("tcp4", dialled.remote),
    ];
    const why = ask({ attempts, path: dialled });
    assert.deepEqual(
      why.attempts.map(({ reason }) => reason),
      ["", "", "in use"],
    );
    assert.deepEqual(why.path, { kind: "tcp4", remote: dialled.remote });
  });

  test("marks no attempt at another address, and says that the other end opened the path", () => {
    const why = ask({ attempts: [tried("tcp4", "192.0.2.8:8088")], path: dialled });
    assert.equal(why.attempts[0]?.reason, "");
    assert.match(reasonOf(why, "tcp4") ?? "", /^in use: opened by the other end/);
  });

  test("names the relay, also where the path has no address of its own", () => {
    const punched: Path = { kind: "punched", remote: "192.0.2.7:4711" };
    assert.equal(ask({ attempts: [tried("relayed", "via garage")], path: relayed }).path?.via, "garage");
    assert.equal(ask({ attempts: [tried("punched", "by its key")], path: punched }).attempts[0]?.reason, "in use");
  });

  test("has a word about punching and relays where neither was tried", () => {
    assert.deepEqual(ask({ attempts: [tried("tcp4", dialled.remote)], path: dialled }).untried, [
      { path: "punched", reason: "left for the tcp4 path" },
      { path: "relayed", reason: "left for the tcp4 path" },
    ]);
    assert.equal(reasonOf(ask({}), "punched"), "nothing was tried yet");
    const silent = { ...tried("tcp4", dialled.remote), outcome: "unreachable" } as const;
    assert.equal(reasonOf(ask({ attempts: [silent] }), "relayed"), "its turn did not come");
  });

  test("says what is in the way, also of what was tried before", () => {
    const hindrances: Hindrance[] = [{ kind: "punched", reason: "turned off" }];
    const attempts = [{ ...tried("punched", "by its key"), outcome: "unreachable" } as const];
    assert.equal(reasonOf(ask({ attempts, hindrances, path: relayed }), "punched"), "turned off");
    assert.match(reasonOf(ask({ attempts, isUdpBlocked: true }), "punched") ?? "", /no UDP gets through to it/);
    assert.equal(reasonOf(ask({ attempts }), "punched"), undefined);
  });

  test("says nothing more of the path that is in use", () => {
    const why = ask({ attempts: [tried("relayed", "via garage")], path: relayed, isUdpBlocked: true });
    assert.deepEqual(
      why.untried.map(({ path }) => path),
      ["punched"],
    );
  });
});

interface World {
  readonly attempts?: readonly Attempt[];
  readonly hindrances?: readonly Hindrance[];
  readonly path?: Path;
  readonly isUdpBlocked?: boolean;
}

function ask({ attempts = [], hindrances = [], path, isUdpBlocked = false }: World): Why {
  const deps = {
    attempts: () => attempts,
    hindrances: () => hindrances,
    path: () => path,
    isUdpBlocked: () => isUdpBlocked,
    nameOf: () => "garage",
  };
  return whyOf(deps, { id: attic, name: "attic", endpoints: [], via: [] });
}

function tried(path: Attempt["path"], address: string): Attempt {
  return { path, address, outcome: "open", ms: 1, reason: "", at: 0 };
}

function reasonOf({ untried }: Why, kind: string): string | undefined {
  return untried.find(({ path }) => path === kind)?.reason;
}
