import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { type Invite, formatInvite, formatLink, formatToken, parseInvite } from "./invite.ts";
import { nodeIdFromPublicKey } from "./node-id.ts";

describe("an invite", () => {
  test("reads as it was written, with any key, token, addresses and relays", () => {
    fc.assert(fc.property(invites, (invite) => assert.deepEqual(parseInvite(formatInvite(invite)), invite)));
  });

  test("is short: four addresses of both kinds fit a QR code of 57 modules", () => {
    const long = "2001:db8:1234:5678:9abc:def0:1234:5678";
    const link = formatInvite({
      ...sample,
      endpoints: [long, "192.168.178.123", "203.0.113.200", long].map((host) => ({ host, port: 8088 })),
    });
    assert.ok(link.length <= 271, `${link.length} characters`); // version 10, level L
  });

  test("says where its relays are, and of no more than it names", () => {
    const via = [sample.issuer];
    const relays = [{ host: "192.0.2.7", port: 8088 }];
    const link = formatInvite({ ...sample, via, relays });
    assert.match(link, /&r=192\.0\.2\.7$/);
    assert.throws(() => formatInvite({ ...sample, via: [], relays }), RangeError);
    const more = link.slice(link.indexOf("?") + 1).replace(/v=[^&]*&/, "");
    assert.throws(() => parseInvite(formatLink(sample, more)), { code: "bad-invite", message: /too many addresses/ });
  });

  test("reads however it was pasted", () => {
    const link = formatInvite(sample);
    const half = Math.floor(link.length / 2);
    const pasted = [
      ` ${link}\n`,
      `'${link}'`,
      `“${link}”`,
      `<${link}>.`,
      `p2prc join '${link}'`,
      `Join me:\n${link}\nSee you!`,
      `${link.slice(0, half)}\r\n   ${link.slice(half)}`,
      `${link.slice(0, 10)}\u200b${link.slice(10)}`,
      link.toUpperCase(),
      link.replaceAll("&", "&amp;"),
      link.replaceAll("[", "%5B").replaceAll("]", "%5D"),
    ];
    for (const text of pasted) assert.deepEqual(parseInvite(text), sample, text);
  });

  test("says that something is missing, however much of it was cut off", () => {
    fc.assert(
      fc.property(invites, fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (invite, where) => {
        const link = formatInvite(invite);
        const cut = link.slice(0, Math.floor(link.length * where));
        assert.throws(() => parseInvite(cut), { code: "bad-invite", hint: /copy the link once more/ });
      }),
      { numRuns: 500, seed: 7 }, // one cut in 65,536 passes the check; with this seed none does
    );
  });

  test("says that something was changed, whichever character it was", () => {
    const link = formatInvite(sample);
    const accepted = Array.from(
      link,
      (character, at) => link.slice(0, at) + (character === "y" ? "b" : "y") + link.slice(at + 1),
    ).filter(isInvite);
    assert.deepEqual(accepted, []);
  });

  test("is refused with the reason", () => {
    const link = formatInvite(sample);
    const reasons: Record<string, RegExp> = {
      "": /does not hold `p2prc:\/\/`/,
      "http://example.org": /does not hold/,
      [link.slice(0, 30)]: /node id in it is cut off/,
      [link.slice(0, 60)]: /ends after the node id/,
      [link.slice(0, 70)]: /secret in it is cut off/,
      [`${link} ${link}`]: /there are two/,
      [`${link}#x`]: /follows it/,
      [link.replace("?", "/x?")]: /goes on after the secret/,
      ["x".repeat(10_000)]: /far too long/,
      [link.replace("?", "%zz?")]: /stands for nothing/,
    };
    for (const [text, message] of Object.entries(reasons))
      assert.throws(() => parseInvite(text), { code: "bad-invite", message }, text);
  });

  test("holds addresses only, with a port, and not too many", () => {
    const reject = (query: string, message: RegExp) =>
      assert.throws(() => parseInvite(withQuery(query)), { code: "bad-invite", message }, query);
    reject("a=host.example", /not an IP address/);
    reject("a=[192.0.2.1]:80", /not an IP address/);
    reject("a=fe80::1-eth0", /not an IP address/);
    reject("a=192.0.2.1:0", /no port/);
    reject("a=192.0.2.1:70000", /no port/);
    reject("a=", /not an IP address/);
    reject("v=attic", /not a node id/);
    reject(`a=${Array.from({ length: 9 }, () => "192.0.2.1").join(",")}`, /too many/);
    assert.throws(() => formatInvite({ ...sample, endpoints: [{ host: "host.example", port: 1 }] }), RangeError);
    assert.throws(
      () => formatInvite({ ...sample, endpoints: Array.from({ length: 9 }, () => ({ host: "192.0.2.1", port: 1 })) }),
      RangeError,
    );
  });

  test("of a newer version is read without what this one does not know", () => {
    assert.deepEqual(parseInvite(withQuery("a=192.0.2.1&z=new")).endpoints, [{ host: "192.0.2.1", port: 8088 }]);
  });

  test("never shows its secret in a message", () => {
    fc.assert(
      fc.property(invites, fc.nat(400), (invite, at) => {
        const link = formatInvite(invite);
        const broken = `${link.slice(0, at)}ü${link.slice(at)}`;
        const said = attempt(broken);
        assert.ok(!said.includes(invite.token.slice(0, 12)), said);
      }),
    );
  });

  test("is read or refused, never anything else, whatever the text", () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string({ unit: "binary" }),
          fc.string().map((text) => `p2prc://${text}`),
        ),
        (text) => void attempt(text),
      ),
    );
  });
});

const ids = fc.uint8Array({ minLength: 32, maxLength: 32 }).map(nodeIdFromPublicKey);
const port = fc.oneof(fc.constant(8088), fc.integer({ min: 1, max: 65_535 }));
const endpoints = fc.record(
  {
    host: fc.oneof(
      fc.ipV4(),
      fc.ipV6().map((address) => address.toLowerCase()),
    ),
    port,
  },
  { noNullPrototype: true },
);
const invites: fc.Arbitrary<Invite> = fc
  .record(
    {
      issuer: ids,
      token: fc.uint8Array({ minLength: 16, maxLength: 16 }).map(formatToken),
      endpoints: fc.array(endpoints, { maxLength: 8 }),
      via: fc.array(ids, { maxLength: 3 }),
      relays: fc.array(endpoints, { maxLength: 3 }),
    },
    { noNullPrototype: true },
  )
  .map(({ relays, ...invite }) => {
    const known = relays.slice(0, invite.via.length);
    return known.length === 0 ? invite : { ...invite, relays: known };
  });

const sample: Invite = {
  issuer: nodeIdFromPublicKey(new Uint8Array(32).fill(7)),
  token: formatToken(new Uint8Array(16).fill(9)),
  endpoints: [
    { host: "2001:db8::7", port: 9000 },
    { host: "192.168.1.5", port: 8088 },
  ],
  via: [nodeIdFromPublicKey(new Uint8Array(32).fill(8))],
};

/** A link with a query that no node would write, and a check that fits it. */
function withQuery(query: string): string {
  return formatLink(sample, query);
}

function isInvite(text: string): boolean {
  return attempt(text) === "read";
}

/** `read`, or the message of the Failure. Anything else is a defect and thrown. */
function attempt(text: string): string {
  try {
    parseInvite(text);
    return "read";
  } catch (error) {
    if ((error as { code?: unknown }).code !== "bad-invite") throw error;
    return (error as Error).message;
  }
}
