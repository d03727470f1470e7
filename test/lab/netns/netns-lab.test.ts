import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { type NetnsHost, NetnsLab, sweepLabs, whyNoLab, whyNoShapedLab } from "./index.ts";

const { signal } = new AbortController();

describe("NetnsLab", { skip: whyNoLab(), timeout: 60_000 }, () => {
  test("gives hosts that reach each other over IPv6 and IPv4, by TCP too", async () => {
    await using lab = await NetnsLab.open({ hosts: { attic: {}, cellar: {} } }, signal);
    const { attic, cellar } = lab.hosts;
    assert.equal(await connects(attic, cellar, cellar.ip4), "connected");
    assert.equal(await connects(attic, cellar, cellar.ip6), "connected");
  });

  test("keeps everything away from the machine's own network", async () => {
    await using lab = await NetnsLab.open({ hosts: { attic: {}, cellar: {} } }, signal);
    const routes = await lab.hosts.attic.run(["ip", "route"], signal);
    assert.match(routes, /^10\.77\.0\.0\/16 dev eth0 proto kernel scope link src 10\.77\.0\.1 \n$/);
  });

  test("adds the delay of both ends to each way", { skip: whyNoShapedLab() }, async () => {
    await using lab = await NetnsLab.open({ hosts: { attic: { delayMs: 10 }, cellar: { delayMs: 15 } } }, signal);
    const { attic, cellar } = lab.hosts;
    const rtt = await pingMs(attic, cellar);
    assert.ok(rtt >= 50 && rtt < 100, `${rtt} ms`);
    await attic.shape({});
    await cellar.shape({});
    const bare = await pingMs(attic, cellar);
    assert.ok(bare < 10, `${bare} ms`);
  });

  test("loses all packets at a loss of 100 %", { skip: whyNoShapedLab() }, async () => {
    await using lab = await NetnsLab.open({ hosts: { attic: { lossPercent: 100 }, cellar: {} } }, signal);
    assert.equal(await connects(lab.hosts.attic, lab.hosts.cellar, lab.hosts.cellar.ip4), "silence");
  });

  test("limits the rate", { skip: whyNoShapedLab() }, async () => {
    await using lab = await NetnsLab.open({ hosts: { attic: { rateMbit: 8 }, cellar: {} } }, signal);
    const { attic, cellar } = lab.hosts;
    const seconds = await secondsFor(1_000_000, { from: attic, to: cellar });
    assert.ok(seconds > 0.8 && seconds < 3, `${seconds} s`);
  });

  test("makes one family silent, and heals", async () => {
    await using lab = await NetnsLab.open({ hosts: { attic: {}, cellar: {} } }, signal);
    const { attic, cellar } = lab.hosts;
    await cellar.filter({ family: 6, verdict: "drop" });
    assert.equal(await connects(attic, cellar, cellar.ip6), "silence");
    assert.equal(await connects(attic, cellar, cellar.ip4), "connected");
    await cellar.unfilter();
    assert.equal(await connects(attic, cellar, cellar.ip6), "connected");
  });

  test("refuses one sender at one port", async () => {
    await using lab = await NetnsLab.open({ hosts: { attic: {}, shed: {}, cellar: {} } }, signal);
    const { attic, shed, cellar } = lab.hosts;
    await cellar.filter({ from: attic.ip4, port: PORT, verdict: "reject" });
    assert.equal(await connects(attic, cellar, cellar.ip4), "ECONNREFUSED");
    assert.equal(await connects(shed, cellar, cellar.ip4), "connected");
  });

  test("parts groups and heals them", async () => {
    await using lab = await NetnsLab.open({ hosts: { attic: {}, shed: {}, cellar: {} } }, signal);
    const { attic, shed, cellar } = lab.hosts;
    await lab.partition([attic, shed], [cellar]);
    assert.equal(await connects(attic, cellar, cellar.ip4), "silence");
    assert.equal(await connects(cellar, attic, attic.ip6), "silence");
    assert.equal(await connects(attic, shed, shed.ip4), "connected");
    await lab.partition();
    assert.equal(await connects(attic, cellar, cellar.ip4), "connected");
  });

  test("pulls a cable and plugs it in again", async () => {
    await using lab = await NetnsLab.open({ hosts: { attic: {}, cellar: {} } }, signal);
    const { attic, cellar } = lab.hosts;
    await cellar.unplug();
    assert.notEqual(await connects(attic, cellar, cellar.ip4), "connected");
    await cellar.plugIn();
    assert.equal(await connects(attic, cellar, cellar.ip4), "connected");
    assert.equal(await connects(attic, cellar, cellar.ip6), "connected");
  });

  test("gives a host new addresses in place of the old", async () => {
    await using lab = await NetnsLab.open({ hosts: { attic: {}, cellar: {} } }, signal);
    const { attic, cellar } = lab.hosts;
    const old = cellar.ip4;
    await cellar.readdress();
    assert.notEqual(cellar.ip4, old);
    assert.equal(await connects(attic, cellar, cellar.ip4), "connected");
    assert.notEqual(await connects(attic, cellar, old), "connected");
  });

  test("has hosts without IPv6", async () => {
    await using lab = await NetnsLab.open({ hosts: { attic: { families: [4] }, cellar: {} } }, signal);
    assert.throws(() => lab.hosts.attic.ip6, /no ip6/);
    assert.equal(await lab.hosts.attic.run(["ip", "-6", "address"], signal), "");
    assert.equal(await connects(lab.hosts.attic, lab.hosts.cellar, lab.hosts.cellar.ip4), "connected");
  });

  test("lets one host own a whole network", async () => {
    await using lab = await NetnsLab.open({ hosts: { attic: {}, cellar: {} } }, signal);
    const { attic, cellar } = lab.hosts;
    await cellar.own("10.99.0.0/16");
    await lab.routeTo("10.99.0.0/16", cellar);
    assert.equal(await connects(attic, cellar, "10.99.3.200"), "connected");
  });

  test("takes its programs and namespaces down when it closes", async () => {
    const lab = await NetnsLab.open({ hosts: { attic: {} } }, signal);
    const program = lab.hosts.attic.spawn(["sleep", "1000"]);
    await lab[Symbol.asyncDispose]();
    assert.equal(await program.ended, "SIGKILL");
    assert.deepEqual(namespacesOf(process.pid), []);
    await lab[Symbol.asyncDispose]();
  });

  test("takes down what a killed process left, with what it left running", async () => {
    const owner = await labOwner();
    const left = namespacesOf(owner.pid);
    assert.equal(left.length, 2);
    await owner.end("SIGKILL");
    assert.ok(isAlive(owner.program));
    assert.deepEqual((await sweepLabs()).sort(), left.sort());
    assert.deepEqual(namespacesOf(owner.pid), []);
    assert.equal(isAlive(owner.program), false);
  });

  test("leaves a lab alone whose process is alive", async () => {
    await using lab = await NetnsLab.open({ hosts: { attic: {} } }, signal);
    assert.deepEqual(await sweepLabs(), []);
    assert.ok(namespacesOf(process.pid).includes(lab.hosts.attic.namespace));
  });

  test("goes when its process is asked to end", async () => {
    const owner = await labOwner();
    assert.equal(await owner.end("SIGTERM"), "SIGTERM");
    assert.deepEqual(namespacesOf(owner.pid), []);
  });
});

const PORT = 4711;
const listenOn = (port: number) => `
  import { createServer } from "node:net";
  createServer((socket) => { socket.resume(); socket.on("end", () => socket.end()); socket.on("error", () => {}); })
    .listen(${port}, () => console.log("listening"));`;
const connectTo = (address: string, port: number) => `
  import { connect } from "node:net";
  const socket = connect({ host: "${address}", port: ${port} });
  const say = (word) => { console.log(word); process.exit(0); };
  socket.on("connect", () => say("connected")).on("error", (error) => say(error.code));
  setTimeout(() => say("silence"), 700);`;

/** Whether a TCP connection from here to that address of `there` comes to be, or what came instead. */
async function connects(here: NetnsHost, there: NetnsHost, address: string): Promise<string> {
  await using server = there.spawn(node(listenOn(PORT)));
  await server.says(/listening/, AbortSignal.timeout(5_000));
  return (await here.run(node(connectTo(address, PORT)), signal)).trim();
}

async function secondsFor(bytes: number, { from, to }: { from: NetnsHost; to: NetnsHost }): Promise<number> {
  await using server = to.spawn(node(listenOn(PORT)));
  await server.says(/listening/, AbortSignal.timeout(5_000));
  const send = `
    import { connect } from "node:net";
    const start = performance.now();
    const socket = connect({ host: "${to.ip4}", port: ${PORT} }, () => socket.end(Buffer.alloc(${bytes})));
    socket.resume().on("close", () => console.log((performance.now() - start) / 1000));`;
  return Number(await from.run(node(send), signal));
}

/** The best of a few round trips: connecting takes one. */
async function pingMs(from: NetnsHost, to: NetnsHost): Promise<number> {
  await using server = to.spawn(node(listenOn(PORT)));
  await server.says(/listening/, AbortSignal.timeout(5_000));
  const ping = `
    import { connect } from "node:net";
    let best = Infinity;
    for (let i = 0; i < 5; i++) {
      const start = performance.now();
      const socket = connect({ host: "${to.ip4}", port: ${PORT} });
      await new Promise((resolve) => socket.on("connect", resolve));
      best = Math.min(best, performance.now() - start);
      socket.destroy();
    }
    console.log(best);`;
  return Number(await from.run(node(ping), signal));
}

function node(script: string): [string, ...string[]] {
  return [process.execPath, "--input-type=module", "--eval", script];
}

/** Another process with a lab of one host, in which a program runs. */
async function labOwner() {
  const script = `
    import { NetnsLab } from ${JSON.stringify(import.meta.resolve("./index.ts"))};
    const lab = await NetnsLab.open({ hosts: { attic: {} } }, new AbortController().signal);
    console.log(lab.hosts.attic.spawn(["sleep", "1000"]).pid);`;
  const child = spawn(process.execPath, ["--input-type=module", "--eval", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [pid] = (await once(child.stdout, "data")) as [Buffer];
  const ended = once(child, "exit");
  const end = async (name: NodeJS.Signals) => {
    child.kill(name);
    return ((await ended) as [number | null, string])[1];
  };
  return { pid: child.pid ?? 0, program: Number(pid), end };
}

function namespacesOf(pid: number): string[] {
  return readdirSync("/run/netns").filter((name) => name.startsWith(`p2prc-lab-${pid}-`));
}

/** A zombie, which waits for a lazy parent, is dead. */
function isAlive(pid: number): boolean {
  try {
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false; // gone altogether
  }
}
