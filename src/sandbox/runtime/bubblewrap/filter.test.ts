import assert from "node:assert/strict";
import type { NetworkInterfaceInfo } from "node:os";
import { describe, test } from "node:test";
import { closedNetworks, ownAddresses } from "../closed-networks.ts";
import { closedAgain, filterRules, NAMESERVER } from "./filter.ts";

const four = (address: string, cidr: string, internal = false): NetworkInterfaceInfo => ({
  ...{ address, cidr, internal, family: "IPv4", netmask: "", mac: "" },
});
const six = (address: string, cidr: string, scopeid = 0): NetworkInterfaceInfo => ({
  ...{ address, cidr, scopeid, internal: false, family: "IPv6", netmask: "", mac: "" },
});
const interfaces = {
  eth0: [four("8.8.4.4", "8.8.4.4/24"), six("2a00::5", "2a00::5/64"), six("fe80::1", "fe80::1/64", 2)],
};

describe("closedNetworks", () => {
  test("closes what is no internet: private, shared, loopback, metadata, multicast", () => {
    const { four: closed } = closedNetworks({});
    for (const network of [
      "10.0.0.0/8",
      "100.64.0.0/10",
      "127.0.0.0/8",
      "169.254.0.0/16",
      "192.168.0.0/16",
      "224.0.0.0/4",
    ]) {
      assert.ok(closed.includes(network), network);
    }
  });

  test("closes the networks that this machine is on, public ones too", () => {
    const closed = closedNetworks(interfaces);
    assert.ok(closed.four.includes("8.8.4.4/24"));
    assert.ok(closed.six.includes("2a00::5/64"));
  });
});

test("ownAddresses leaves out loopback and those of one link", () => {
  assert.deepEqual(ownAddresses({ ...interfaces, lo: [four("127.0.0.1", "127.0.0.1/8", true)] }), [
    "2a00::5",
    "8.8.4.4",
  ]);
});

describe("filterRules", () => {
  const rules = filterRules(closedNetworks(interfaces), NAMESERVER)
    .split("\n")
    .map((line) => line.trim());
  const at = (start: string) => rules.findIndex((line) => line.startsWith(start));

  test("drops what no rule allows", () => {
    assert.equal(rules.filter((line) => line.endsWith("policy drop;")).length, 3);
  });

  test("looks at closed networks before it lets anything go on", () => {
    assert.ok(at("ip daddr @closed4") < at("ct state established"));
    assert.ok(at("ip6 daddr @closed6") < at("ct state established"));
    assert.ok(at("tcp dport {") < at("ct state established"));
  });

  test("asks names of one address alone, before that is closed", () => {
    assert.ok(at(`ip daddr ${NAMESERVER} meta l4proto { tcp, udp } th dport 53 accept`) < at("ip daddr @closed4"));
  });
});

test("closedAgain replaces all in one go", () => {
  const text = closedAgain(closedNetworks(interfaces));
  assert.match(
    text,
    /^flush set inet p2prc closed4\nflush set inet p2prc closed6\nadd element inet p2prc closed4 \{ .*8\.8\.4\.4\/24/,
  );
});
