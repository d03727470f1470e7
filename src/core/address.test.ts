import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import {
  type AddressKind,
  AllowedNetworks,
  canonicalAddress,
  classifyAddress,
  isNearby,
  mayDialGossiped,
  netgroup,
  noNetworks,
} from "./address.ts";

const kinds: Readonly<Record<string, AddressKind>> = {
  "8.8.8.8": "public",
  "2a00:1450:4001::1": "public",
  "127.0.0.1": "loopback",
  "127.255.0.3": "loopback",
  "::1": "loopback",
  "10.1.2.3": "lan",
  "172.16.0.1": "lan",
  "192.168.1.1": "lan",
  "fd00::1": "lan",
  "169.254.169.254": "linklocal",
  "fe80::1": "linklocal",
  "fe80::1%eth0": "linklocal",
  "100.64.0.1": "cgnat",
  "224.0.0.251": "multicast",
  "ff02::fb": "multicast",
  "192.0.2.1": "documentation",
  "203.0.113.9": "documentation",
  "2001:db8::1": "documentation",
  "3fff::1": "documentation",
  "::ffff:8.8.8.8": "embedded",
  "::ffff:127.0.0.1": "embedded",
  "::127.0.0.1": "embedded",
  "64:ff9b::7f00:1": "embedded",
  "64:ff9b:1::1": "embedded",
  "2002:7f00:1::": "embedded",
  "2001:0:4136:e378::1": "embedded",
  "2600::5efe:7f00:1": "embedded",
  "2600::200:5efe:a00:1": "embedded",
  "0.0.0.0": "reserved",
  "::": "reserved",
  "240.0.0.1": "reserved",
  "255.255.255.255": "reserved",
  "198.18.0.1": "reserved",
  "fec0::1": "reserved",
  "4000::1": "reserved",
  "example.org": "invalid",
  "010.0.0.1": "invalid",
  "127.1": "invalid",
  "": "invalid",
};

describe("classifyAddress", () => {
  for (const [address, kind] of Object.entries(kinds)) {
    test(`takes ${address === "" ? "nothing" : address} for ${kind}`, () =>
      assert.equal(classifyAddress(address), kind));
  }

  test("has an answer for every text", () => {
    fc.assert(fc.property(fc.string(), (text) => typeof classifyAddress(text) === "string"));
  });

  test("calls no address public that carries a private IPv4 address in any spelling", () => {
    const spellings = [
      (four: string) => `::ffff:${four}`,
      (four: string) => `::${four}`,
      (four: string) => `64:ff9b::${four}`,
      (four: string) => `::ffff:0:${four}`,
      (four: string) => `2a00::5efe:${four}`,
    ];
    fc.assert(
      fc.property(fc.ipV4(), fc.constantFrom(...spellings), (four, spell) => classifyAddress(spell(four)) !== "public"),
    );
  });
});

describe("AllowedNetworks", () => {
  test("holds what is inside its networks and nothing else", () => {
    const allowed = AllowedNetworks.parse(["100.64.0.0/10", "fd12::/16", "192.0.2.7"]);
    assert.deepEqual(
      ["100.127.255.255", "100.128.0.0", "fd12::9", "fd13::9", "192.0.2.7", "192.0.2.8", "x"].map((at) =>
        allowed.includes(at),
      ),
      [true, false, true, false, true, false, false],
    );
  });

  for (const text of [
    "",
    "10.0.0.0/33",
    "10.0.0.0/x",
    "10.0.0/8",
    "::/129",
    "10.0.0.0/8/8",
    "example.org",
    "10.0.0.0/-1",
  ]) {
    test(`refuses "${text}"`, () => assert.throws(() => AllowedNetworks.parse([text]), { code: "bad-argument" }));
  }

  test("an IPv4 network does not hold IPv4 addresses in IPv6 clothes", () => {
    assert.equal(AllowedNetworks.parse(["10.0.0.0/8"]).includes("::ffff:10.0.0.1"), false);
  });
});

describe("mayDialGossiped", () => {
  const may = (host: string, port: number, allowed = noNetworks) => mayDialGossiped({ host, port }, allowed);

  test("lets public addresses at ordinary ports be dialled", () => {
    assert.deepEqual([may("8.8.8.8", 8088), may("2a00::1", 65_535)], [true, true]);
  });

  test("lets no stranger name a web server, a mail server or a database", () => {
    assert.deepEqual(
      [80, 443, 25, 22, 0, -1, 3306, 6379, 65_536].filter((port) => may("8.8.8.8", port)),
      [],
    );
  });

  test("lets nothing but public addresses be dialled", () => {
    const others = Object.keys(kinds).filter((address) => kinds[address] !== "public");
    assert.deepEqual(
      others.filter((address) => may(address, 8088)),
      [],
    );
  });

  test("refuses a zone, which names an interface of this machine", () => {
    assert.equal(may("2a00::1%lo", 8088), false);
  });

  test("lets every port be dialled in a network that a person named", () => {
    assert.equal(may("127.0.0.1", 443, AllowedNetworks.parse(["127.0.0.0/8"])), true);
  });
});

describe("isNearby", () => {
  test("knows this machine, the LAN and networks that a person named", () => {
    const allowed = AllowedNetworks.parse(["100.64.0.0/10"]);
    const near = ["127.0.0.1", "192.168.0.4", "fe80::1%eth0", "100.64.0.9", "8.8.8.8", "100.1.1.1"].map((at) =>
      isNearby(at, allowed),
    );
    assert.deepEqual(near, [true, true, true, true, false, false]);
  });
});

describe("netgroup", () => {
  test("tells machines, sites and providers apart", () => {
    assert.deepEqual(netgroup("1.2.3.4"), { host: "4:1.2.3.4", site: "4:1.2.3", provider: "4:1.2" });
    assert.equal(netgroup("2a00:1:2:3::1").host, netgroup("2a00:1:2:3:ffff::9").host);
    assert.equal(netgroup("2a00:1:2:3::1").site, netgroup("2a00:1:2:4::1").site);
    assert.notEqual(netgroup("2a00:1:2:3::1").site, netgroup("2a00:1:3:3::1").site);
    assert.equal(netgroup("2a00:1:2:3::1").provider, netgroup("2a00:1:9:9::1").provider);
  });

  test("puts what shares a host into one site, and what shares a site into one provider", () => {
    fc.assert(
      fc.property(fc.ipV6(), fc.ipV6(), (a, b) => {
        const [one, two] = [netgroup(a), netgroup(b)];
        return (
          (one.host !== two.host || one.site === two.site) && (one.site !== two.site || one.provider === two.provider)
        );
      }),
    );
  });
});

describe("canonicalAddress", () => {
  test("spells one address one way", () => {
    assert.equal(canonicalAddress("2A00:0:0::0001"), "2a00::1");
    assert.equal(canonicalAddress("nonsense"), undefined);
  });

  test("is the same again when it is asked again", () => {
    fc.assert(
      fc.property(
        fc.ipV6(),
        (address) => canonicalAddress(canonicalAddress(address) ?? "") === canonicalAddress(address),
      ),
    );
  });
});
