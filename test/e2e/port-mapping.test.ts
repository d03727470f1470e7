/** Ports opened on a real router (miniupnpd), by each of the ways, on machines in namespaces. */

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { join } from "node:path";
import type { Mapped } from "../../src/nat/index.ts";
import { NatLab, type NetnsHost, type NetnsProcess, whyNoNatLab } from "../lab/netns/index.ts";

const { signal } = new AbortController();
const PROGRAM = join(import.meta.dirname, "../support/mapping-process.ts");
const WAIT_MS = 20_000;
const FORWARDED = ["tcp 8088", "udp 8088", "udp 8089", "udp 8090", "udp 8091"];

describe("ports on a router", { skip: whyNoNatLab(), timeout: 180_000 }, () => {
  const open = () => NatLab.open("(attic desk):upnp-ipv6  shed:nat", {}, signal);
  let lab: Awaited<ReturnType<typeof open>>;
  before(async () => {
    lab = await open();
  });
  after(() => lab[Symbol.asyncDispose]());

  for (const [way, family] of [
    ["PCP", 6],
    ["NAT-PMP", 4],
    ["UPnP", 6],
  ] as const) {
    test(`are opened by ${way} for TCP and UDP${family === 6 ? ", and for IPv6" : ""}, and closed at the end`, async () => {
      const { attic } = lab.hosts;
      const mapping = spawn(attic, { ways: [way], six: family === 6 ? [attic.ip6] : [] });
      await mapping.says(/"kind":"mapped"/, AbortSignal.timeout(WAIT_MS));
      if (family === 6) await mapping.says(/"pinholes":\["/, AbortSignal.timeout(WAIT_MS));
      const { four } = latest(mapping);
      const external = lab.router("attic").ip4;
      assert.deepEqual(four, {
        kind: "mapped",
        ports: { method: way, gateway: gatewayOf(attic), tcp: 8088, udp: 8088, external },
      });
      assert.deepEqual(await forwardedTo(attic), FORWARDED);
      assert.equal((await rules()).includes(hex(attic.ip6)), family === 6);
      mapping.kill("SIGTERM");
      await mapping.ended;
      assert.deepEqual(await forwardedTo(attic), []);
      assert.equal((await rules()).includes(hex(attic.ip6)), false);
    });
  }

  test("are other ones for the second machine that wants the same", async () => {
    const { attic, desk } = lab.hosts;
    const first = spawn(attic, { ways: ["PCP"] });
    await first.says(/"kind":"mapped"/, AbortSignal.timeout(WAIT_MS));
    for (const way of ["PCP", "NAT-PMP", "UPnP"]) {
      const second = spawn(desk, { ways: [way] });
      await second.says(/"kind":"(mapped|failed)"/, AbortSignal.timeout(WAIT_MS));
      const { four } = latest(second);
      assert.ok(
        four.kind === "mapped" && four.ports.tcp !== 8088 && four.ports.udp === 8_152,
        JSON.stringify([way, four]),
      );
      const row = [8_152, 8_153, 8_154, 8_155].map((port) => `udp ${port}`);
      assert.deepEqual(await forwardedTo(desk), [`tcp ${four.ports.tcp}`, ...row]);
      second.kill("SIGTERM");
      await second.ended;
      assert.deepEqual([await forwardedTo(desk), await forwardedTo(attic)], [[], FORWARDED]);
    }
    first.kill("SIGTERM");
    await first.ended;
  });

  for (const way of ["PCP", "NAT-PMP", "UPnP"])
    test(`are opened again by ${way} after the router was rebooted`, async () => {
      const { attic } = lab.hosts;
      const mapping = spawn(attic, { ways: [way] });
      await mapping.says(/"kind":"mapped"/, AbortSignal.timeout(WAIT_MS));
      await sleep(2_500); // so that the router's clock, which counts seconds, is behind when it begins anew
      mapping.kill("SIGSTOP");
      await lab.router("attic").reboot();
      assert.deepEqual(await forwardedTo(attic), []);
      mapping.kill("SIGCONT");
      const begun = performance.now();
      while ((await forwardedTo(attic)).length < FORWARDED.length && performance.now() - begun < WAIT_MS)
        await sleep(200);
      assert.deepEqual(await forwardedTo(attic), FORWARDED);
      mapping.kill("SIGTERM");
      await mapping.ended;
      assert.deepEqual(await forwardedTo(attic), []);
    });

  test("are not opened by a router that knows none of the ways, which is said", async () => {
    const mapping = spawn(lab.hosts.shed, { ways: ["PCP", "NAT-PMP", "UPnP"] });
    await mapping.says(/"kind":"failed"/, AbortSignal.timeout(WAIT_MS));
    const { four } = latest(mapping);
    const why = `the router ${gatewayOf(lab.hosts.shed)} answers neither PCP, NAT-PMP nor UPnP`;
    assert.deepEqual(four, { kind: "failed", why, isRefusal: false });
    mapping.kill("SIGTERM");
    await mapping.ended;
  });

  interface Wish {
    readonly ways: readonly string[];
    readonly udp?: readonly number[];
    readonly six?: readonly string[];
  }

  function spawn(host: NetnsHost, { ways, udp = [8088, 8089, 8090, 8091], six = [] }: Wish): NetnsProcess {
    return host.spawn([process.execPath, PROGRAM, JSON.stringify({ tcp: 8088, udp, four: true, six, ways })]);
  }

  function rules(): Promise<string> {
    return lab.router("attic").outside.run(["nft", "list", "ruleset"], signal);
  }

  /** `tcp 8088`: what comes in for that host, sorted. */
  async function forwardedTo({ ip4 }: NetnsHost): Promise<string[]> {
    const lines = (await rules()).split("\n").filter((line) => line.includes(`dnat ip to ${ip4}:`));
    return lines.map((line) => `${line.includes("0x11") ? "udp" : "tcp"} ${/dport (\d+)/.exec(line)?.[1]}`).sort();
  }
});

/** Of the machine's own network. */
function gatewayOf({ ip4 }: NetnsHost): string {
  return ip4.replace(/\d+$/, "1");
}

/** As nft lists it, who knows no better here. */
function hex(ip6: string): string {
  const [head = "", tail = ""] = ip6.split("::");
  const left = head.split(":").map((each) => each.padStart(4, "0"));
  return `0x${left.join("").padEnd(28, "0")}${tail.padStart(4, "0")}`;
}

function latest(mapping: NetnsProcess): Mapped {
  return JSON.parse(mapping.stdout.trim().split("\n").at(-1) ?? "") as Mapped;
}
