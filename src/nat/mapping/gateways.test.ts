import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { gatewaysOf, parseNetstat, parseProcRoute, parseProcRoute6 } from "./gateways.ts";

describe("parseProcRoute", () => {
  test("finds default routes through a router, and nothing else", () => {
    const text = `Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask
eth0	00000000	0102A8C0	0003	0	0	100	00000000	0	0	0
eth0	0002A8C0	00000000	0001	0	0	100	00FFFFFF	0	0	0
tun0	00000000	00000000	0001	0	0	50	00000000	0	0	0
wlan0	00000000	FE01000A	0003	0	0	600	00000000	0	0	0
`;
    assert.deepEqual(parseProcRoute(text), [
      { gateway: "192.168.2.1", device: "eth0" },
      { gateway: "10.0.1.254", device: "wlan0" },
    ]);
  });
});

describe("parseProcRoute6", () => {
  test("finds the router, by its address on the link", () => {
    const zero = "0".repeat(32);
    const text = `20010db8000000000000000000000000 40 ${zero} 00 ${zero} 00000100 00000001 00000000 00000001     eth0
${zero} 00 ${zero} 00 fe80000000000000020c29fffe000001 00000400 00000002 00000000 00000003     eth0
${zero} 00 ${zero} 00 ${zero} ffffffff 00000001 00000000 00200200       lo
`;
    assert.deepEqual(parseProcRoute6(text), [{ gateway: "fe80::20c:29ff:fe00:1", device: "eth0" }]);
  });
});

describe("parseNetstat", () => {
  test("reads what macOS and Windows write", () => {
    const mac = `default            192.168.1.1        UGScg                 en0
127                127.0.0.1          UCS                   lo0
default                                 fe80::1%en0                             UGcg                  en0`;
    assert.deepEqual(parseNetstat(mac), [
      { gateway: "192.168.1.1", device: "en0" },
      { gateway: "fe80::1", device: "en0" },
    ]);
    const windows = "          0.0.0.0          0.0.0.0      192.168.1.1     192.168.1.50     25";
    assert.deepEqual(parseNetstat(windows), [{ gateway: "192.168.1.1", device: undefined }]);
  });

  test("finds nothing in what is none of that", () => {
    assert.deepEqual(parseNetstat("default link#4 UCS en0\n\n0.0.0.0 0.0.0.0 On-link 10.0.0.1 5\nhello"), []);
  });
});

describe("gatewaysOf", () => {
  const interfaces = {
    lo: [{ address: "127.0.0.1", cidr: "127.0.0.1/8" }],
    eth0: [
      { address: "192.168.2.7", cidr: "192.168.2.7/24" },
      { address: "2a00::7", cidr: "2a00::7/64" },
      { address: "fd00::7", cidr: "fd00::7/64" },
      { address: "fe80::7", cidr: "fe80::7/64" },
    ],
    wlan0: [{ address: "10.0.1.7", cidr: "10.0.1.7/24" }],
  };

  test("knows the own addresses on the network of each router", () => {
    const routes = [
      { gateway: "192.168.2.1", device: "eth0" },
      { gateway: "10.0.1.1", device: "wlan0" },
      { gateway: "fe80::1", device: "eth0" },
    ];
    assert.deepEqual(gatewaysOf(routes, interfaces), [
      { address: "192.168.2.1", family: 4, own: ["192.168.2.7"] },
      { address: "10.0.1.1", family: 4, own: ["10.0.1.7"] },
      { address: "fe80::1%eth0", family: 6, own: ["2a00::7"] },
    ]);
  });

  test("asks no router that is on none of its networks, each one once, and four at most", () => {
    assert.deepEqual(gatewaysOf([{ gateway: "172.16.0.1", device: "eth0" }], interfaces), []);
    const twice = { gateway: "10.0.1.1", device: "wlan0" };
    assert.equal(gatewaysOf([twice, twice], interfaces).length, 1);
    const many = Array.from({ length: 9 }, (_, n) => ({ gateway: `10.0.1.${n + 1}`, device: "wlan0" }));
    assert.equal(gatewaysOf(many, interfaces).length, 4);
  });
});
