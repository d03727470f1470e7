/**
 * Opens ports on the routers of the machine that it runs on, as a daemon does, and says each change as a line of JSON.
 *
 * `node mapping-process.ts '{"tcp":8088,"udp":[8088],"four":true,"six":[],"ways":["PCP"]}'`; ends, and gives back, on SIGTERM.
 */

import { Scope, silentLog, systemClock, systemRandom } from "../../src/base/index.ts";
import { findGateways } from "../../src/nat/mapping/gateways.ts";
import { openNatPmp } from "../../src/nat/mapping/nat-pmp.ts";
import { openPcp } from "../../src/nat/mapping/pcp.ts";
import { PortMapping, type Wanted } from "../../src/nat/mapping/port-mapping.ts";
import { openUpnp } from "../../src/nat/mapping/upnp.ts";

const ways = { PCP: openPcp, "NAT-PMP": openNatPmp, UPnP: openUpnp };
const { ways: chosen, ...wanted } = JSON.parse(process.argv[2] ?? "{}") as Wanted & {
  readonly ways: readonly (keyof typeof ways)[];
};
const scope = new Scope();
const mapping = new PortMapping({
  wanted: () => wanted,
  findGateways,
  openers: chosen.map((way) => ways[way]),
  clock: systemClock,
  random: systemRandom,
  log: silentLog,
});
mapping.changes.on((mapped) => process.stdout.write(`${JSON.stringify(mapped)}\n`));
scope.spawn((signal) => mapping.run(signal));
process.once("SIGTERM", () => void scope.close());
