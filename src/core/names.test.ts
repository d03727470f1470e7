import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { localNameFor, type Named, parseLocalName, resolveName, shownName } from "./names.ts";
import { type NodeId, nodeIdFromPublicKey } from "./node-id.ts";

const id = (number: number): NodeId => nodeIdFromPublicKey(new Uint8Array(32).fill(number));
const attic: Named = {
  id: id(1),
  joined: true,
  name: "attic",
  claimedName: "attic",
  hosts: ["192.0.2.7", "attic.example"],
};
const cellar: Named = { id: id(2), joined: true, name: "cellar", claimedName: "attica", hosts: [] };
const stranger: Named = { id: id(3), joined: false, claimedName: "barn", hosts: ["198.51.100.1"] };
const all = [attic, cellar, stranger];
const idOf = (text: string, nodes = all) => resolveName(text, nodes).id;

describe("resolveName", () => {
  test("finds a joined node by its name, in any case", () => {
    assert.deepEqual([idOf("attic"), idOf(" ATTIC ")], [attic.id, attic.id]);
  });

  test("finds a joined node by the beginning of its name or id", () => {
    assert.deepEqual([idOf("cel"), idOf(attic.id.slice(0, 3))], [cellar.id, attic.id]);
  });

  test("finds a joined node by address or host name", () => {
    assert.deepEqual([idOf("192.0.2.7"), idOf("Attic.Example")], [attic.id, attic.id]);
  });

  test("finds a joined node by what it calls itself", () => assert.equal(idOf("attica"), cellar.id));

  test("finds anybody by the whole id, and a stranger by 16 characters of it", () => {
    assert.deepEqual([idOf(stranger.id), idOf(stranger.id.slice(0, 16))], [stranger.id, stranger.id]);
  });

  test("does not find a stranger by 15 characters, by name or by address", () => {
    for (const text of [stranger.id.slice(0, 15), "barn", "198.51.100.1"]) {
      assert.throws(() => idOf(text), { code: "unknown-node" });
    }
  });

  test("lists both where two match", () => {
    const both = [attic, { ...cellar, name: "attached" }];
    assert.throws(
      () => idOf("att", both),
      (error: Error) => /attic/.test(error.message) && /attached/.test(error.message),
    );
    assert.throws(() => idOf("att", both), { code: "ambiguous" });
  });

  test("does not let a claim come before the name a node has here", () => {
    assert.equal(idOf("attic", [attic, { ...cellar, claimedName: "attic" }]), attic.id);
  });

  test("does not let a claim come before a prefix that somebody is used to type", () => {
    assert.throws(() => idOf("att", [attic, { ...cellar, claimedName: "att" }]), { code: "ambiguous" });
  });

  test("finds nobody by nothing", () => assert.throws(() => idOf("  "), { code: "unknown-node" }));

  test("shows no control characters of what was typed", () => {
    assert.throws(() => idOf("a\u001b[31m\u202eb"), { message: 'no node "a[31mb" is known here' });
  });
});

describe("localNameFor", () => {
  test("keeps a name that is free", () => assert.equal(localNameFor("attic", id(1), new Set()), "attic"));

  test("tells a taken name apart by a number, in any case", () => {
    assert.equal(localNameFor("Attic", id(1), new Set(["attic", "attic-2"])), "Attic-3");
  });

  test("makes a name that can be typed of one that cannot", () => {
    assert.equal(localNameFor("-my big/box: 1 ", id(1), new Set()), "my-big-box-1");
  });

  for (const text of ["", "   ", "///", "10.0.0.1", id(9), id(9).slice(0, 20)]) {
    test(`takes some of the id for "${text.slice(0, 20)}"`, () =>
      assert.equal(localNameFor(text, id(1), new Set()), id(1).slice(0, 8)));
  }

  test("is always a name that a person may give, and never a taken one", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), fc.array(fc.string()), (claimed, taken) => {
        const name = localNameFor(claimed, id(1), new Set(taken));
        return parseLocalName(name) === name && !taken.includes(name);
      }),
    );
  });
});

describe("parseLocalName", () => {
  for (const text of ["", "a b", "a/b", "--all", "\u202eabc", "1.2.3.4", id(1), "x".repeat(33), "a:1"]) {
    test(`refuses "${text.slice(0, 20)}"`, () => assert.throws(() => parseLocalName(text), { code: "bad-name" }));
  }

  test("takes other scripts than Latin", () => assert.equal(parseLocalName("дача"), "дача"));
});

describe("shownName", () => {
  test("is the name here, else the claim, else some of the id", () => {
    assert.deepEqual(
      [shownName(cellar), shownName(stranger), shownName({ id: id(4) })],
      ["cellar", "barn", `${id(4).slice(0, 4)}…${id(4).slice(-4)}`],
    );
  });
});
