import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { formatEndpoint } from "./endpoint.ts";
import { Failure } from "./errors.ts";
import { parseEndpoint } from "./parse-endpoint.ts";

describe("parseEndpoint", () => {
  for (const [text, host, port] of [
    ["host.example:80", "host.example", 80],
    ["Attic", "attic", 8088],
    ["192.0.2.7", "192.0.2.7", 8088],
    ["192.0.2.7:1", "192.0.2.7", 1],
    ["2001:db8::7", "2001:db8::7", 8088],
    ["[2001:db8::7]:9", "2001:db8::7", 9],
    [" [::1] ", "::1", 8088],
  ] as const) {
    test(`reads "${text}"`, () => assert.deepEqual(parseEndpoint(text), { host, port }));
  }

  for (const text of [
    "",
    ":80",
    "a:b",
    "a:0",
    "a:65536",
    "a:80:90",
    "[::1",
    "[x]:80",
    "1.2.3",
    "a b",
    "-a",
    "a..b",
    "http://a",
    "[::1]80",
  ]) {
    test(`refuses "${text}"`, () => assert.throws(() => parseEndpoint(text), { code: "bad-address" }));
  }

  test("reads what formatEndpoint writes", () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), fc.integer({ min: 1, max: 65_535 }), (host, port) => {
        assert.deepEqual(parseEndpoint(formatEndpoint({ host, port })), { host: host.toLowerCase(), port });
      }),
    );
  });

  test("reads or refuses any text", () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        try {
          return parseEndpoint(text).port > 0;
        } catch (error) {
          return error instanceof Failure;
        }
      }),
    );
  });
});
