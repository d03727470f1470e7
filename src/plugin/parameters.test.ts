import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import type { Parameter } from "./contract.ts";
import { parameterValues, unsafeVariables } from "./parameters.ts";
import { readYaml } from "./read-yaml.ts";

const parameters: Readonly<Record<string, Parameter>> = {
  name: { type: "string" },
  count: { type: "integer", default: 2 },
  share: { type: "number", default: 0.5 },
  loud: { type: "boolean", default: false },
  size: { type: "string", default: "small", choices: ["small", "large"] },
};

describe("parameters of a plugin", () => {
  test("are what was given, else their defaults, in their types", () => {
    assert.deepEqual(parameterValues(parameters, { name: "x", count: "7", loud: "yes" }), {
      ...{ name: "x", count: 7, share: 0.5, loud: true, size: "small" },
    });
  });

  test("that are missing are named all at once", () => {
    assert.throws(() => parameterValues({ a: { type: "string" }, b: { type: "integer" } }, {}), {
      code: "bad-argument",
      message: "the plugin wants to be told a, b",
      hint: "give them as -p a=… -p b=…",
    });
  });

  for (const [key, value] of [
    ["nothing", "x"],
    ["count", "1.5"],
    ["count", "99999999999999999999"],
    ["share", "NaN"],
    ["share", ""],
    ["loud", "perhaps"],
    ["size", "huge"],
    ["name", "x".repeat(65_537)],
    ["__proto__", "x"],
  ] as const) {
    test(`refuse ${key} = ${value.slice(0, 30)}`, () => {
      assert.throws(() => parameterValues(parameters, { name: "x", ...JSON.parse(`{"${key}":"${value}"}`) }), {
        code: "bad-argument",
      });
    });
  }

  test("come out of the file of variables as they went in", async () => {
    const texts = fc.sample(fc.string({ unit: "binary" }), 50);
    const hard = [
      "{{ lookup('pipe', 'id') }}",
      "\"'\n\t\\",
      "yes",
      "# no",
      "!unsafe x",
      "\u0000\u2028\ufeff",
      "😀",
      "",
      "'",
    ];
    const values = Object.fromEntries([...hard, ...texts].map((text, index) => [`v${index}`, text]));
    const source = unsafeVariables({ ...values, whole: 7, flag: false }).replaceAll(/^(v\d+): !unsafe /gmu, "$1: ");
    assert.deepEqual(await readYaml({ name: "variables.yml", source }, new AbortController().signal), {
      ...Object.fromEntries(Object.entries(values).map(([key, text]) => [key, text.toWellFormed()])),
      ...{ whole: 7, flag: false },
    });
  });

  test("are marked as data, every text of them", () => {
    assert.equal(unsafeVariables({ a: "{{ x }}", b: 1 }), 'a: !unsafe "{{ x }}"\nb: 1\n');
    assert.equal(unsafeVariables({}), "{}\n");
  });
});
