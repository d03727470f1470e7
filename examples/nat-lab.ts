/**
 * Nodes behind two routers that find a way to each other: `sudo examples/nat-lab [KIND [KIND]]`.
 *
 * A small internet is built of network namespaces: attic and desk are at home, each behind a router of a kind (`nat` when
 * none is given), garage is on the internet itself. Each runs the real program, with the commands that a person would type.
 * Nothing leaves this machine, and everything is taken away at the end, or with Ctrl-C.
 */

import { argv, exitCode, stdout } from "node:process";
import { systemClock } from "../src/base/index.ts";
import { type NetnsNode, NetnsNodes, ROUTER_KINDS, whyNoNatLab, whyNoUpnpLab } from "../test/lab/netns/index.ts";

const { signal } = new AbortController();
const kinds = ["public", "cgnat", ...ROUTER_KINDS];
const [attics = "nat", desks = "nat"] = argv.slice(2);
const isUpnp = [attics, desks].some((kind) => kind.startsWith("upnp"));
const wrong = [attics, desks].find((kind) => !kinds.includes(kind));
const lack =
  wrong !== undefined ? `"${wrong}" is none of ${kinds.join(", ")}` : isUpnp ? whyNoUpnpLab() : whyNoNatLab();

if (lack !== false) {
  console.error(`${lack}\n\nusage: sudo examples/nat-lab [KIND [KIND]]`);
  process.exitCode = exitCode ?? 2;
} else {
  await show();
}

async function show(): Promise<void> {
  say("building an internet", `garage:public   attic:${attics}   desk:${desks}`);
  await using net = await NetnsNodes.online(
    `garage:public  attic:${attics}  desk:${desks}`,
    { roundTripMs: 40 },
    signal,
  );
  const { garage, attic, desk } = net.nodes;
  for (const name of ["garage", "attic", "desk"] as const) {
    console.log(`${name.padEnd(7)}${net.lab.host(name).ip4.padEnd(14)}seen as ${net.lab.publicIp4(name)}`);
  }

  say("each of them lends itself, and both at home are friends of garage");
  await Promise.all([
    type("garage", garage, "serve", "--detach", "--name", "garage"),
    type("attic", attic, "serve", "--detach", "--name", "attic"),
    type("desk", desk, "serve", "--detach", "--name", "desk"),
  ]);
  await attic.join(garage);
  await desk.join(garage);

  say("attic looks around, and finds out how others reach it: that takes a few seconds");
  await type("attic", attic, "update");
  await isReached(attic);
  await type("attic", attic, "doctor");

  say("attic lets desk in");
  await desk.join(attic);

  say("desk asks attic, through whatever is open; the path gets better while it does");
  // A symmetric router takes another port for each destination, which has to be guessed.
  await type("desk", desk, "ping", "attic", "--count", [attics, desks].includes("symmetric") ? "35" : "12");

  say("now nothing passes between their two routers any more, while both still reach garage");
  await net.lab.partition(["attic"], ["desk"]);
  await type("desk", desk, "ping", "attic", "--count", "8");
  await net.lab.partition();

  say("what desk tried");
  await type("desk", desk, "why", "attic");

  say("taking everything away");
}

/** Until it has a relay, or an address at which others found it; whoever has neither within half a minute goes on without. */
async function isReached(node: NetnsNode): Promise<void> {
  for (let tries = 0; tries < 60; tries++) {
    const { reach } = await node.json<{ reach: { via: readonly string[]; addresses: readonly unknown[] } }>("doctor");
    if (reach.via.length > 0 || reach.addresses.length > 0) return;
    await systemClock.sleep(500, signal);
  }
}

function say(...lines: readonly string[]): void {
  console.log(`\n# ${lines.join("\n  ")}`);
}

/** As a person would, with what it says as it says it. */
async function type(machine: string, node: NetnsNode, ...words: readonly string[]): Promise<void> {
  console.log(`${machine}$ p2prc ${words.join(" ")}`);
  const program = node.start(...words);
  using _shown = program.onOutput((text) => void stdout.write(text));
  await program.ended;
}
