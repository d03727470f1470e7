/**
 * Opens ports on the routers of the machine that it runs on, as a daemon does, and says each change as a line of JSON.
 *
 * `node mapping-process.ts '{"tcp":8088,"udp":[8088],"four":true,"six":[],"ways":["PCP"]}'`; ends, and gives back, on
 * SIGTERM. Its long waits are twenty times as short: what a daemon does within a minute it does within three seconds.
 */

import { type Clock, Scope, silentLog, systemClock, systemRandom } from "../../src/base/index.ts";
import { findGateways, openNatPmp, openPcp, openUpnp, PortMapping, type Wanted } from "../../src/nat/index.ts";

const HURRY = 20;
const LONG_MS = 4_000;
const clock: Clock = {
  ...systemClock,
  sleep: (ms, signal) => systemClock.sleep(ms > LONG_MS ? ms / HURRY : ms, signal),
};

const ways = { PCP: openPcp, "NAT-PMP": openNatPmp, UPnP: openUpnp };
const { ways: chosen, ...wanted } = JSON.parse(process.argv[2] ?? "{}") as Wanted & {
  readonly ways: readonly (keyof typeof ways)[];
};
const scope = new Scope();
const mapping = new PortMapping({
  wanted: () => wanted,
  findGateways,
  openers: chosen.map((way) => ways[way]),
  clock,
  random: systemRandom,
  log: silentLog,
});
mapping.changes.on((mapped) => process.stdout.write(`${JSON.stringify(mapped)}\n`));
scope.spawn((signal) => mapping.run(signal));
process.once("SIGTERM", () => void scope.close());
