/** What a guest may try in a sandbox of a real engine, and what must come of it. */

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { after, describe, test } from "node:test";
import { systemClock } from "../../src/base/index.ts";
import { encodeFrame, FrameReader } from "../../src/sandbox/resident/frames.ts";
import { Inside } from "../../src/sandbox/inside/inside.ts";
import type { DockerRuntime } from "../../src/sandbox/runtime/docker/docker-runtime.ts";
import type { SandboxSpec } from "../../src/sandbox/runtime/runtime.ts";
import { sandboxSpec } from "../contract/runtime.ts";
import { DockerLab, whyNoDocker } from "../support/docker-lab.ts";

const signal = new AbortController().signal;
const ignore = () => undefined;
/** The owner's: an address of the host, a LAN, the metadata service, another's network. */
const HOST = ["192.168.77.1", "203.0.113.9", "169.254.169.254", "10.99.0.1"];
const PORT = 8088;
const REFUSED = /can't connect to remote host .*(?:refused|unreachable|No route|not permitted|denied)/i;

let opened: Promise<House> | undefined;
const house = () => (opened ??= House.open());
after(async () => await (await opened)?.[Symbol.asyncDispose]());

describe("a guest of profile dev with a network", { skip: whyNoDocker(), timeout: 120_000 }, () => {
  test("reaches none of the owner's addresses, and no packet arrives", async () => {
    await using box = await (await house()).sandbox({ network: "internet" });
    const gateway = (await box.run("cat", "/proc/net/route")).out;
    assert.match(gateway, /eth0/); // it has a network at all
    for (const address of [...HOST, await box.gateway()]) {
      const { out, code } = await box.knock(address, PORT);
      assert.equal(code, 1, `${address}: ${out}`);
      assert.match(out, REFUSED, address);
    }
    assert.deepEqual((await house()).arrived, []);
  });

  test("would have arrived without the rules", async () => {
    // The canaries sing: the test above could have failed.
    await using box = await (await house()).sandbox({ network: "internet" });
    await box.withoutRules();
    await box.knock("192.168.77.1", PORT);
    assert.deepEqual((await house()).arrived.splice(0), ["192.168.77.1"]);
    assert.notDeepEqual(await box.verify(), []);
  });

  test("has no IPv6 but its own loopback", async () => {
    await using box = await (await house()).sandbox({ network: "internet" });
    const { out } = await box.run("cat", "/proc/net/if_inet6");
    assert.doesNotMatch(out, /eth0/);
  });

  test("does not reach another sandbox", async () => {
    await using one = await (await house()).sandbox({ network: "internet" });
    await using other = await (await house()).sandbox({ network: "internet" });
    const { code } = await one.knock(await other.address(), 80);
    assert.equal(code, 1);
    // The engine's own resolver would name the others.
    const { code: answered, out } = await one.knock("127.0.0.11", 53);
    assert.equal(answered, 1, out);
    assert.match(out, REFUSED);
  });

  test("cannot write to the kernel's settings, mount, make namespaces, join others or flush the rules", async () => {
    await using box = await (await house()).sandbox({ network: "internet", image: "p2prc-test:bookworm" });
    const attempts: readonly (readonly string[])[] = [
      ["sh", "-c", "echo x > /proc/sys/kernel/hostname"],
      ["sh", "-c", "echo 0 > /proc/sys/net/ipv4/ip_forward"],
      ["sh", "-c", "echo x > /proc/sysrq-trigger"],
      ["sh", "-c", "echo x > /.p2prc/planted"],
      ["mount", "-t", "tmpfs", "x", "/mnt"],
      ["unshare", "--user", "--map-root-user", "true"],
      ["unshare", "--net", "true"],
      ["nsenter", "--net=/proc/1/ns/net", "true"],
      ["mknod", "/tmp/disk", "b", "254", "0"],
      ["sh", "-c", "echo -1 > /sys/fs/cgroup/memory/memory.limit_in_bytes"],
      ["sh", "-c", "mkdir /sys/fs/cgroup/memory/planted"],
      [...nft, "flush", "ruleset"],
      [...nft, "delete", "table", "inet", "p2prc"],
      ["python3", "-c", "import socket; socket.socket(socket.AF_PACKET, socket.SOCK_RAW)"],
      ["python3", "-c", "import socket; socket.socket(38, 5, 0)"],
      ["python3", "-c", "import socket; socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)"],
      ["cat", "/proc/kcore"],
    ];
    for (const argv of attempts) {
      const { code, out } = await box.run(...argv);
      assert.notEqual(code, 0, `${argv.join(" ")}: ${out}`);
    }
    assert.deepEqual(await box.verify(), []);
    assert.equal((await box.run("sh", "-c", "test -S /var/run/docker.sock || test -e /run/docker.sock")).code, 1);
  });

  test("is nobody outside, and may do what apt needs inside", async () => {
    await using box = await (await house()).sandbox({ image: "p2prc-test:bookworm" });
    assert.doesNotMatch((await box.run("cat", "/proc/self/uid_map")).out, /^\s*0\s+0\s/);
    const done = await box.run(
      "sh",
      "-c",
      "touch /x && chown 33:33 /x && su -s /bin/sh www-data -c 'rm /x; id -u'; dpkg -l | wc -l",
    );
    assert.equal(done.code, 0, done.out);
    assert.match(done.out, /33\n/);
  });
});

describe("limits of a real engine", { skip: whyNoDocker(), timeout: 120_000 }, () => {
  test("end what takes more memory than it was given, and the sandbox lives", async () => {
    await using box = await (await house()).sandbox({ image: "p2prc-test:bookworm", memoryBytes: 128 * 1024 ** 2 });
    const { code } = await box.run("python3", "-c", "x = bytearray(400 * 1024 * 1024)");
    assert.notEqual(code, 0);
    assert.equal((await box.run("true")).code, 0);
  });

  test("stop a fork bomb, and another sandbox hardly notices", async () => {
    await using box = await (await house()).sandbox({ pids: 64 });
    await using other = await (await house()).sandbox({});
    const bomb = box.run("sh", "-c", "i=0; while [ $i -lt 300 ]; do sleep 2 & i=$((i+1)); done; wait");
    assert.equal((await other.run("true")).code, 0);
    const { out } = await bomb;
    assert.match(out, /can't fork|Resource temporarily unavailable/);
  });

  test("freeze a sandbox that fills the disk, say so, and let the owner remove it", async () => {
    const { runtime } = await house();
    await using box = await (await house()).sandbox({ diskBytes: 8 * 1024 ** 2 });
    void box.run("dd", "if=/dev/zero", "of=/fill", "bs=1M", "count=64").catch(ignore);
    const found = await eventually(async () => {
      const one = (await runtime.list(signal)).find(({ id }) => id === box.spec.id);
      return one?.state === "paused" ? one : undefined;
    });
    assert.equal(found.reason, "disk quota");
  });
});

describe("an engine that ends under its sandboxes", { skip: whyNoDocker(), timeout: 180_000 }, () => {
  test("is said to be gone, and what it left is found and removed afterwards", async () => {
    await using lab = await DockerLab.open({ userns: true });
    const runtime = await lab.runtime();
    const spec = sandboxSpec({ network: "internet" });
    await runtime.create(spec, ignore, signal);
    await lab.kill();
    await assert.rejects(runtime.list(signal), { code: "runtime-failed" });
    await assert.rejects(runtime.open(spec.id, signal), { code: "runtime-failed" });
    await assert.rejects(runtime.remove(spec.id, signal), { code: "runtime-failed" });
    await lab.restart();
    const [left] = await runtime.list(signal);
    assert.deepEqual({ id: left?.id, state: left?.state }, { id: spec.id, state: "stopped" });
    await runtime.remove(spec.id, signal);
    assert.deepEqual(await runtime.list(signal), []);
    await runtime.create(spec, ignore, signal);
    assert.deepEqual(await runtime.verify(spec.id, signal), []);
    await runtime.remove(spec.id, signal);
  });
});

const nft = ["/.p2prc/engine/lib/ld.so", "--library-path", "/.p2prc/engine/lib", "/.p2prc/engine/bin/nft"];

/** One engine with user namespaces, on a host with addresses of its own, where canaries listen. */
class House implements AsyncDisposable {
  readonly lab: DockerLab;
  readonly runtime: DockerRuntime;
  /** The addresses at which somebody knocked. */
  readonly arrived: string[] = [];
  readonly #canary;

  static async open(): Promise<House> {
    const lab = await DockerLab.open({ userns: true });
    try {
      return await House.#furnish(lab);
    } catch (error) {
      await lab[Symbol.asyncDispose]();
      throw error;
    }
  }

  static async #furnish(lab: DockerLab): Promise<House> {
    execFileSync("ip", ["-n", lab.namespace, "link", "add", "lan0", "type", "bridge"]);
    for (const address of HOST)
      execFileSync("ip", ["-n", lab.namespace, "address", "add", `${address}/24`, "dev", "lan0"]);
    execFileSync("ip", ["-n", lab.namespace, "link", "set", "lan0", "up"]);
    await lab.importDebian("p2prc-test:bookworm");
    const addresses = () => ({ addresses: [], networks: HOST.map((address) => `${address}/24`) });
    const house = new House(lab, await lab.runtime({ addresses }));
    await house.#canary.ready;
    return house;
  }

  private constructor(lab: DockerLab, runtime: DockerRuntime) {
    this.lab = lab;
    this.runtime = runtime;
    const code = `require("net").createServer((s) => { console.log(s.localAddress.replace("::ffff:", "")); s.end(); })
      .listen(${PORT}, "::", () => console.log("ready"))`;
    const child = spawn("ip", ["netns", "exec", lab.namespace, process.execPath, "-e", code], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const lines = createInterface({ input: child.stdout });
    const ready = once(lines, "line").then(() => lines.on("line", (line) => this.arrived.push(line)));
    this.#canary = { child, ready };
  }

  async sandbox(choices: Partial<SandboxSpec>): Promise<Box> {
    const spec = sandboxSpec(choices);
    await this.runtime.create(spec, ignore, signal);
    return new Box(
      this,
      spec,
      await Inside.open(await this.runtime.open(spec.id, signal), { clock: systemClock }, signal),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#canary.child.kill("SIGKILL");
    await this.lab[Symbol.asyncDispose]();
  }
}

class Box implements AsyncDisposable {
  readonly spec: SandboxSpec;
  readonly #house: House;
  readonly #inside: Inside;

  constructor(...[house, spec, inside]: [House, SandboxSpec, Inside]) {
    this.#house = house;
    this.spec = spec;
    this.#inside = inside;
  }

  async run(...argv: readonly string[]): Promise<{ readonly out: string; readonly code: number | undefined }> {
    const stream = await this.#inside.exec({ argv, env: {} }, signal);
    stream.write(encodeFrame("stdinEnd"));
    const reader = new FrameReader();
    let out = "";
    let code: number | undefined;
    for await (const bytes of stream as AsyncIterable<Buffer>) {
      for (const { kind, content } of reader.take(bytes)) {
        if (kind === "stdout" || kind === "stderr") out += content.toString();
        if (kind === "end") ({ code } = JSON.parse(content.toString()) as { code?: number });
      }
    }
    return { out, code };
  }

  /** At a TCP port, with nothing to say. */
  knock(address: string, port: number) {
    return this.run("/bin/busybox", "nc", "-w", "3", address, String(port));
  }

  verify(): Promise<readonly string[]> {
    return this.#house.runtime.verify(this.spec.id, signal);
  }

  async gateway(): Promise<string> {
    return (await this.#endpoint()).Gateway;
  }

  async address(): Promise<string> {
    return (await this.#endpoint()).IPAddress;
  }

  /** As root of the host might. */
  async withoutRules(): Promise<void> {
    const { engine } = this.#house.lab;
    const companion = `/containers/p2prc-net-${this.spec.id}`;
    const body = { Cmd: [...nft, "flush", "ruleset"], AttachStdout: true };
    const { Id } = await engine.ask<{ Id: string }>({ method: "POST", path: `${companion}/exec`, body }, signal);
    const stream = await engine.hijack({ method: "POST", path: `/exec/${Id}/start`, body: { Detach: false } }, signal);
    await once(stream.resume(), "end");
  }

  async #endpoint(): Promise<{ readonly Gateway: string; readonly IPAddress: string }> {
    const path = `/containers/p2prc-net-${this.spec.id}/json`;
    type Answer = { NetworkSettings: { Networks: Record<string, { Gateway: string; IPAddress: string }> } };
    const { NetworkSettings } = await this.#house.lab.engine.ask<Answer>({ method: "GET", path }, signal);
    const found = NetworkSettings.Networks["p2prc"];
    if (found === undefined) throw new Error("the companion has no network");
    return found;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#inside[Symbol.asyncDispose]();
    await this.#house.runtime.remove(this.spec.id, signal);
  }
}

/** Asks for at most 20 s. */
async function eventually<T>(ask: () => Promise<T | undefined>): Promise<T> {
  for (let turn = 0; turn < 100; turn++) {
    const found = await ask();
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  throw new Error("it never happened");
}
