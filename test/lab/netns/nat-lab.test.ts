import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { NatLab, sweepLabs, whyNoNatLab, whyNoUpnpLab } from "./index.ts";
import { ip } from "./ip.ts";
import { PROBE_PORT, Probe } from "./probe.ts";

const { signal } = new AbortController();
const LINE = `relay:public  other:public  home:nat  cone:fullcone  strict:symmetric  double:cgnat  mute:udp-blocked
  six:ipv6-firewall  (desk laptop):nat@10.50.0  twin:nat@10.50.0  (left:nat right:nat):nat`;

describe("NatLab", { skip: whyNoNatLab(), timeout: 60_000 }, () => {
  let lab: Lab;
  before(async () => {
    lab = await Lab.open(LINE);
  });
  after(() => lab[Symbol.asyncDispose]());

  test("lets a router of the kind nat use one outer port for all destinations, where only those may answer", async () => {
    const [outer, again] = await lab.mappings("home");
    assert.deepEqual(again, outer);
    assert.equal(outer?.address, lab.net.publicIp4("home"));
    assert.deepEqual(await lab.answersFrom("home", ["relay", "other"]), [true, true]);
    assert.equal(await lab.reaches("left", "home", outer?.port), false);
  });

  test("lets anybody answer behind a full cone, once it has sent to somebody", async () => {
    assert.equal(await lab.reaches("other", "cone", PROBE_PORT), false);
    const outer = await lab.mapping("cone", "relay");
    assert.equal(await lab.reaches("other", "cone", outer?.port), true);
    assert.equal(await lab.reaches("other", "cone", (outer?.port ?? 0) + 1), false);
  });

  test("gives each destination another port behind a symmetric router", async () => {
    const [outer, again] = await lab.mappings("strict");
    assert.notEqual(again?.port, outer?.port);
    assert.notEqual(outer?.port, PROBE_PORT);
    assert.equal(await lab.reaches("other", "strict", outer?.port), false);
  });

  test("has a carrier's router between a home and the internet", async () => {
    const router = lab.net.router("double");
    assert.match(router.ip4, /^100\.64\./);
    const outer = await lab.mapping("double", "relay");
    assert.equal(outer?.address, router.upstream?.ip4);
    assert.equal(router.upstream?.ip4, lab.net.publicIp4("double"));
  });

  test("lets no UDP through where it is blocked, but TCP out", async () => {
    assert.equal(await lab.mapping("mute", "relay"), undefined);
    assert.equal(await lab.connect("mute", lab.net.host("relay").ip4), "connected");
  });

  test("lets nothing in that was not asked for", async () => {
    const doors = ["home", "cone", "strict", "double", "mute"].map((name) => lab.net.publicIp4(name));
    const outcomes = await Promise.all(doors.map((address) => lab.connect("relay", address)));
    assert.deepEqual(outcomes, ["silence", "silence", "silence", "silence", "silence"]);
  });

  test("gives global IPv6 addresses behind a firewall, which only answers pass", async () => {
    const { six, relay } = lab.net.hosts;
    assert.equal(await lab.connect("six", relay?.ip6 ?? ""), "connected");
    assert.equal(await lab.connect("relay", six?.ip6 ?? ""), "silence");
    assert.equal(await lab.heard("relay", "six", six?.ip6), undefined);
    assert.deepEqual(await lab.heard("six", "relay", relay?.ip6), { address: six?.ip6, port: PROBE_PORT });
    assert.deepEqual(await lab.heard("relay", "six", six?.ip6), { address: relay?.ip6, port: PROBE_PORT });
  });

  test("has no IPv6 behind the other routers", () => {
    assert.throws(() => lab.net.host("home").ip6, /has no ip6/);
  });

  test("has several hosts behind one router, who reach each other inside", async () => {
    assert.equal(await lab.connect("desk", lab.net.host("laptop").ip4), "connected");
    assert.equal((await lab.mapping("desk", "relay"))?.address, (await lab.mapping("laptop", "relay"))?.address);
  });

  test("lets two houses use the same addresses inside", async () => {
    const [desk, twin] = [lab.net.host("desk"), lab.net.host("twin")];
    assert.equal(desk.ip4, twin.ip4);
    assert.notEqual(lab.net.publicIp4("desk"), lab.net.publicIp4("twin"));
    assert.equal(await lab.connect("twin", lab.net.host("laptop").ip4), "silence");
  });

  test("has houses behind one carrier, who do not reach each other inside", async () => {
    assert.equal(lab.net.publicIp4("left"), lab.net.publicIp4("right"));
    assert.equal(await lab.connect("left", lab.net.router("right").ip4), "silence");
  });

  test("forgets mappings when a router is rebooted", async () => {
    const outer = await lab.mapping("home", "relay");
    assert.equal(await lab.reaches("relay", "home", outer?.port), true);
    await lab.net.router("home").reboot();
    assert.equal(await lab.reaches("relay", "home", outer?.port), false);
    assert.notEqual(await lab.mapping("home", "relay"), undefined);
  });

  test("gives a router a new address outside", async () => {
    const router = lab.net.router("home");
    const old = await lab.mapping("home", "relay");
    await router.readdress();
    const outer = await lab.mapping("home", "relay");
    assert.notEqual(outer?.address, old?.address);
    assert.equal(outer?.address, router.ip4);
  });

  test("resets TCP in a captive network, also what was connected before", async () => {
    const router = lab.net.router("laptop");
    const { ip4 } = lab.net.host("relay");
    assert.equal(await lab.connect("laptop", ip4), "connected");
    assert.equal(await lab.written("laptop"), "alive");
    await router.setPolicy({ tcp: "reset" });
    assert.match(await lab.written("laptop"), /^(ECONNRESET|EPIPE)$/);
    assert.equal(await lab.connect("laptop", ip4), "ECONNREFUSED");
    assert.notEqual(await lab.mapping("laptop", "relay"), undefined);
    await router.setPolicy({});
    assert.equal(await lab.connect("laptop", ip4), "connected");
  });

  test("parts houses on the internet and heals them", async () => {
    const { ip4 } = lab.net.host("relay");
    await lab.net.partition(["double"], ["relay"]);
    assert.equal(await lab.connect("double", ip4), "silence");
    assert.equal(await lab.connect("double", lab.net.host("other").ip4), "connected");
    await lab.net.partition();
    assert.equal(await lab.connect("double", ip4), "connected");
  });

  test("keeps multicast inside the house", async () => {
    const group = "224.0.0.251";
    assert.equal(await lab.heard("desk", "laptop", group), undefined); // nobody joined: it is the joining that counts
    await lab.join(["laptop", "relay", "other"], group);
    assert.notEqual(await lab.heard("desk", "laptop", group), undefined);
    assert.equal(await lab.heard("other", "relay", group), undefined);
  });

  test("is silent where nobody is", async () => {
    assert.equal(await lab.connect("relay", "10.1.0.2"), "silence");
    assert.equal(await lab.connect("home", "203.0.113.9"), "silence");
  });
});

describe("a NatLab with delay", { skip: whyNoNatLab(), timeout: 30_000 }, () => {
  test("adds the round trip between any two on the internet", async () => {
    await using lab = await Lab.open("relay:public  home:nat", { roundTripMs: 60 });
    const start = performance.now();
    assert.equal(await lab.connect("home", lab.net.host("relay").ip4), "connected");
    const ms = performance.now() - start;
    assert.ok(ms >= 60 && ms < 150, `${ms} ms`);
  });
});

describe("a router with UPnP", { skip: whyNoUpnpLab(), timeout: 30_000 }, () => {
  test("opens what is asked for, until it is rebooted", async () => {
    await using lab = await Lab.open("relay:public  home:upnp");
    const address = lab.net.publicIp4("home");
    assert.equal(await lab.connect("relay", address), "silence");
    await lab.askForPort("home");
    assert.equal(await lab.connect("relay", address), "connected");
    assert.equal(await lab.reaches("relay", "home", PROBE_PORT), false, "only TCP was asked for");
    await lab.net.router("home").reboot();
    assert.equal(await lab.connect("relay", address), "silence");
  });
});

describe("a NatLab whose process was killed", { skip: whyNoUpnpLab(), timeout: 30_000 }, () => {
  test("leaves nothing that the next sweep does not take down, its routers' programs included", async () => {
    const script = `
      import { NatLab } from ${JSON.stringify(import.meta.resolve("./index.ts"))};
      await NatLab.open("relay:public  (desk laptop):upnp", {}, new AbortController().signal);
      console.log("open");
      setInterval(() => {}, 1000);`;
    const owner = spawn(process.execPath, ["--input-type=module", "--eval", script], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    await once(owner.stdout, "data");
    const router = `p2prc-lab-${owner.pid}-1-desk-router`;
    const [daemon] = (await ip("netns", "pids", router)).split("\n");
    assert.match(commandOf(daemon), /miniupnpd/);
    owner.kill("SIGKILL");
    await once(owner, "exit");
    assert.equal((await sweepLabs()).length, 5);
    assert.equal(commandOf(daemon), "");
  });
});

/** Nothing when it is gone, or dead and waits for a lazy parent. */
function commandOf(pid = ""): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8");
  } catch {
    return "";
  }
}

/** A lab with a probe on each host. */
class Lab implements AsyncDisposable {
  readonly net: NatLab<string>;
  readonly #probes: ReadonlyMap<string, Probe>;

  static async open(line: string, internet = {}): Promise<Lab> {
    const net = await NatLab.open(line, internet, signal);
    const probes = Object.entries(net.hosts).map(async ([name, host]) => [name, await Probe.open(host)] as const);
    return new Lab(net, new Map(await Promise.all(probes)));
  }

  private constructor(net: NatLab<string>, probes: ReadonlyMap<string, Probe>) {
    this.net = net;
    this.#probes = probes;
  }

  /** From where a public host sees what this one sends to it. */
  async mapping(from: string, to: string) {
    return await this.heard(from, to, this.net.host(to).ip4);
  }

  async mappings(from: string) {
    return [await this.mapping(from, "relay"), await this.mapping(from, "other")];
  }

  async heard(from: string, to: string, address = "") {
    return await this.#probe(from).sendTo(this.#probe(to), address);
  }

  /** Whether what is sent to the outermost address of `to` arrives there. */
  async reaches(from: string, to: string, port = 0): Promise<boolean> {
    return (await this.#probe(from).sendTo(this.#probe(to), this.net.publicIp4(to), port)) !== undefined;
  }

  /** Whether each of them reaches it after it sent there. */
  async answersFrom(to: string, senders: readonly string[]): Promise<boolean[]> {
    const answers: boolean[] = [];
    for (const from of senders) answers.push(await this.reaches(from, to, (await this.mapping(to, from))?.port));
    return answers;
  }

  async connect(from: string, address: string) {
    return await this.#probe(from).connectTo(address);
  }

  async written(from: string): Promise<string> {
    return await this.#probe(from).write();
  }

  async join(names: readonly string[], group: string): Promise<void> {
    await Promise.all(names.map((name) => this.#probe(name).join(group)));
  }

  /** NAT-PMP, RFC 6886: TCP, the same port outside, for a minute. */
  async askForPort(name: string): Promise<void> {
    const ask = `import socket, struct
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(2)
s.sendto(struct.pack(">BBHHHI", 0, 2, 0, ${PROBE_PORT}, ${PROBE_PORT}, 60), ("10.1.0.1", 5351))
assert struct.unpack(">BBH", s.recv(64)[:4])[2] == 0`;
    await this.net.host(name).run(["python3", "-c", ask], signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.net[Symbol.asyncDispose]();
  }

  #probe(name: string): Probe {
    const probe = this.#probes.get(name);
    if (probe === undefined) throw new Error(`no probe is on "${name}"`);
    return probe;
  }
}
