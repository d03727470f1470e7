import assert from "node:assert/strict";
import { once } from "node:events";
import { describe, test } from "node:test";
import { DaemonLab, type LabDaemon } from "../support/daemon-lab.ts";
import { fakeResident } from "../support/fake-resident.ts";
import { systemClock } from "../../src/base/index.ts";
import type { Config } from "../../src/config/index.ts";
import type { Grant } from "../../src/core/index.ts";
import type { Link } from "../../src/network/index.ts";
import { askCreate, askOffer, askRemove, askSandbox, askSandboxes, connectSandbox } from "../../src/sandbox/ask.ts";
import type { CreateRequest, GuestsReply, PanicReply, UsageReply } from "../../src/sandbox/index.ts";
import { encodeFrame, FrameReader } from "../../src/sandbox/resident/frames.ts";
import { type MemoryMachine, MemoryRuntime } from "../../src/sandbox/runtime/memory.ts";
import { type SandboxId, sandboxIdFrom } from "../../src/sandbox/runtime/sandbox-id.ts";

const never = new AbortController().signal;

describe("a guest of a node", { timeout: 60_000 }, () => {
  test("gets a sandbox, runs in it, reaches a port of it, and removes it", async () => {
    await using pair = await Pair.open();
    const { link } = pair;
    const steps: string[] = [];
    const note = ({ step }: { readonly step: string }) => void steps.push(step);
    const { id, state, user, hostKey } = await askCreate(link, { ...pair.request(), note }, never);
    assert.deepEqual([state, user, hostKey], ["running", "root", `ssh-ed25519 ${"C".repeat(68)}`]);
    assert.deepEqual([steps.at(0), steps.at(-1)], ["admitted", "verifying"]);
    assert.deepEqual(await cat(link, id, "hello"), { out: "hello", code: 0 });
    const port = await connectSandbox(link, { id, wish: { kind: "port", port: 8080 } }, never);
    port.write("ping");
    assert.equal(String((await once(port, "data"))[0]), "ping");
    port.destroy();
    await askRemove(link, id, never);
    await assert.rejects(askSandbox(link, id, never), { code: "not-found" });
    assert.equal(pair.machine.size, 0);
  });

  test("sees what it may ask for", async () => {
    await using pair = await Pair.open();
    const before = await askOffer(pair.link, never);
    assert.deepEqual([before.runtime, before.images, before.free.sandboxes], ["memory", "registry", 2]);
    await pair.create();
    assert.equal((await askOffer(pair.link, never)).free.sandboxes, 1);
  });

  test("does not learn of another guest's sandbox, whatever it asks", async () => {
    await using pair = await Pair.open();
    const other = await pair.lab.start("other");
    await other.join(pair.attic);
    const theirs = await linkTo(other, pair.attic);
    const id = await pair.create();
    assert.deepEqual(await askSandboxes(theirs, never), []);
    for (const ask of [
      { method: "GET", path: `/v1/sandboxes/${id}` },
      { method: "DELETE", path: `/v1/sandboxes/${id}` },
      { method: "GET", path: `/v1/sandboxes/${id}/stats` },
      { method: "GET", path: `/v1/sandboxes/${id}/logs` },
      { method: "POST", path: `/v1/sandboxes/${id}/extend`, body: { lifetimeMs: 60_000 } },
    ] as const)
      assert.equal((await theirs.request(ask, never)).status, 404, `${ask.method} ${ask.path}`);
    for (const target of [`exec:${id}`, `ssh:${id}`, `port:${id}/80`, `files:${id}/get/etc`])
      await assert.rejects(theirs.connect(target, never), { code: "not-found" }, target);
    assert.equal(pair.machine.size, 1);
  });

  test("may do nothing once it is none", async () => {
    await using pair = await Pair.open();
    const id = await pair.create();
    const stream = await connectSandbox(pair.link, { id, wish: { kind: "port", port: 1 } }, never);
    stream.on("error", () => undefined);
    const closed = once(stream, "close");
    const begun = systemClock.now();
    await pair.attic.ask("DELETE", `/v1/grants/${pair.guest.id}`);
    await closed;
    await until(() => pair.machine.size === 0);
    assert.ok(systemClock.now() - begun < 5_000);
    const again = await linkTo(pair.guest, pair.attic);
    await assert.rejects(askSandboxes(again, never), { code: "not-allowed" });
  });

  test("is told by how much it asked for too much, and what is allowed", async () => {
    await using pair = await Pair.open();
    const asked = { ...pair.request(), memoryBytes: 6 * 1024 ** 3, note: () => undefined };
    await assert.rejects(askCreate(pair.link, asked, never), {
      code: "not-allowed",
      message: /6GiB memory in all, allowed are 2GiB \(4GiB too much\)/,
    });
  });

  test("cannot say what was not agreed", async () => {
    await using pair = await Pair.open();
    for (const wrong of [
      { name: "../up" },
      { name: "-rf" },
      { name: "a\nb" },
      { name: "$(id)" },
      { image: "--privileged" },
      { image: "debian;id" },
      { cpus: "2" },
      { memoryBytes: null },
      { id: "../../etc/passwd" },
      { sshKey: "ssh-rsa AAAA" },
      { privileged: true },
      { ports: -1 },
    ]) {
      const body = { ...pair.request(), ...wrong };
      const reply = await pair.link.request({ method: "POST", path: "/v1/sandboxes", body }, never);
      assert.equal(reply.status, 400, JSON.stringify(wrong));
    }
    assert.equal(pair.machine.size, 0);
  });

  test("keeps its sandbox while the owner's daemon restarts", async () => {
    await using pair = await Pair.open();
    const id = await pair.create();
    await pair.lab.stop("attic");
    assert.equal(pair.machine.size, 1);
    await pair.startAttic();
    const link = await linkTo(pair.guest, pair.attic);
    assert.equal((await askSandbox(link, id, never)).state, "running");
    assert.deepEqual(await cat(link, id, "again"), { out: "again", code: 0 });
  });
});

describe("the owner of a node", { timeout: 60_000 }, () => {
  test("sees guests, pauses one and lets it go on, and kicks it", async () => {
    await using pair = await Pair.open();
    const { attic, link } = pair;
    const id = await pair.create("mill");
    const { sandboxes } = await attic.ask<GuestsReply>("GET", "/v1/guests");
    assert.deepEqual(
      sandboxes.map(({ sandbox, guestName }) => [sandbox.id, guestName]),
      [[id, "guest"]],
    );
    await attic.ask("POST", "/v1/guests/mill/pause", {});
    assert.equal(pair.machine.get(id)?.state, "paused");
    await assert.rejects(link.connect(`exec:${id}`, never), { code: "busy", message: /frozen: the owner paused it/ });
    await attic.ask("POST", `/v1/guests/${id}/resume`, {});
    assert.deepEqual(await cat(link, id, "on"), { out: "on", code: 0 });
    await attic.ask("POST", `/v1/guests/${id.slice(0, 6)}/kick`, {});
    assert.equal(pair.machine.size, 0);
    const { guests } = await attic.ask<UsageReply>("GET", "/v1/usage");
    assert.deepEqual([guests[0]?.guest, guests[0]?.sandboxes], [pair.guest.id, 1]);
    assert.ok((guests[0]?.linkBytes ?? 0) > 0);
  });

  test("stops everything within a second, and lets it go on", async () => {
    await using pair = await Pair.open();
    const { attic, link } = pair;
    const id = await pair.create();
    const begun = systemClock.now();
    const reply = await attic.ask<PanicReply>("POST", "/v1/panic", { on: true });
    assert.ok(systemClock.now() - begun < 1_000);
    assert.deepEqual(reply, { on: true, sandboxes: 1, problems: [] });
    assert.equal(pair.machine.get(id)?.state, "paused");
    await link.ended;
    const status = await attic.ask<{ lends: boolean; warnings: string[] }>("GET", "/v1/status");
    assert.equal(status.lends, false);
    assert.ok(status.warnings.some((warning) => warning.includes("everything is frozen")));
    await assert.rejects(attic.ask("POST", "/v1/lend", { on: true }), /panic/);
    await pair.lab.stop("attic");
    await pair.startAttic();
    assert.equal((await attic2(pair)).lends, false);
    await pair.attic.ask("POST", "/v1/panic", { on: false });
    assert.equal(pair.machine.get(id)?.state, "running");
    await pair.attic.ask("POST", "/v1/lend", { on: true });
    assert.deepEqual(await cat(await linkTo(pair.guest, pair.attic), id, "on"), { out: "on", code: 0 });
  });

  test("stops lending, and guests still reach what runs until it has ended", async () => {
    await using pair = await Pair.open();
    const { attic, guest } = pair;
    const id = await pair.create();
    await attic.ask("POST", "/v1/lend", { on: false });
    const status = await attic.ask<{ lends: boolean; listening: string[] }>("GET", "/v1/status");
    assert.deepEqual([status.lends, status.listening.length], [false, 1]);
    assert.equal(attic.daemon.parts.own.latest.record.lends, false);
    pair.link.close("it breaks");
    await pair.link.ended;
    const link = await linkTo(guest, attic);
    assert.deepEqual(await cat(link, id, "on"), { out: "on", code: 0 });
    const refused = { code: "not-allowed", message: /does not lend now/ };
    await assert.rejects(askCreate(link, { ...pair.request(), note: () => undefined }, never), refused);
    await assert.rejects(askOffer(link, never), refused);
    await pair.lab.stop("attic");
    await pair.startAttic({ lends: false });
    await until(() => pair.attic.daemon.parts.lending.listening);
    const again = await linkTo(guest, pair.attic);
    assert.deepEqual(await cat(again, id, "on"), { out: "on", code: 0 });
    await askRemove(again, id, never);
    await until(() => !pair.attic.daemon.parts.lending.listening);
  });

  test("limits what is lent, and others hear of it", async () => {
    await using pair = await Pair.open();
    const limits = { images: ["debian:*"], memoryBytes: 512 * 1024 ** 2 };
    assert.deepEqual(await pair.attic.ask("PUT", "/v1/lend/limits", limits), limits);
    const note = () => undefined;
    const evil = askCreate(pair.link, { ...pair.request(), image: "debian:5000/evil", note }, never);
    await assert.rejects(evil, { code: "not-allowed", message: /does not allow the image/ });
    const large = askCreate(pair.link, { ...pair.request(), memoryBytes: 1024 ** 3, note }, never);
    await assert.rejects(large, {
      code: "not-allowed",
      message: /1 GiB of memory wanted, this node lends 512 MiB, of which 512 MiB free \(512 MiB too much\)/,
    });
    assert.equal((await askOffer(pair.link, never)).free.memoryBytes, 512 * 1024 ** 2);
  });
});

async function attic2(pair: Pair): Promise<{ readonly lends: boolean }> {
  return await pair.attic.ask("GET", "/v1/status");
}

async function linkTo(from: LabDaemon, to: LabDaemon): Promise<Link> {
  return await from.daemon.parts.network.link({ id: to.id, endpoints: [to.endpoint], via: [] }, never);
}

async function until(done: () => boolean): Promise<void> {
  while (!done()) await systemClock.sleep(20, never);
}

/** Runs `cat` in a sandbox. */
async function cat(link: Link, id: SandboxId, input: string) {
  const stream = await connectSandbox(link, { id, wish: { kind: "exec" } }, never);
  const reader = new FrameReader();
  let out = "";
  let code: unknown;
  for (const [kind, content] of [
    ["start", JSON.stringify({ argv: ["cat"], env: {} })],
    ["stdin", input],
    ["stdinEnd", ""],
  ] as const)
    stream.write(encodeFrame(kind, content));
  for await (const bytes of stream as AsyncIterable<Buffer>)
    for (const { kind, content } of reader.take(bytes)) {
      if (kind === "stdout") out += content.toString();
      if (kind === "end") ({ code } = JSON.parse(content.toString()) as { code: unknown });
    }
  return { out, code };
}

/** An owner with a runtime in memory, and a guest that joined, with a link between them. */
class Pair implements AsyncDisposable {
  readonly lab: DaemonLab;
  readonly machine: MemoryMachine;
  readonly guest: LabDaemon;
  attic: LabDaemon;
  link: Link;
  #next = 1;

  static async open(grant: Partial<Grant> = {}): Promise<Pair> {
    const lab = await DaemonLab.open();
    const machine: MemoryMachine = new Map();
    const attic = await lab.start("attic", { runtimes: [memory(machine)] });
    const guest = await lab.start("guest");
    const { link: invite } = await attic.ask<{ link: string }>("POST", "/v1/invites", { grant });
    await guest.ask("POST", "/v1/join", { invite });
    return new Pair({ lab, machine, attic, guest, link: await linkTo(guest, attic) });
  }

  private constructor({
    lab,
    machine,
    attic,
    guest,
    link,
  }: Pick<Pair, "lab" | "machine" | "attic" | "guest" | "link">) {
    this.lab = lab;
    this.machine = machine;
    this.attic = attic;
    this.guest = guest;
    this.link = link;
  }

  request(name = "box"): CreateRequest {
    const id = sandboxIdFrom(new Uint8Array(10).fill(this.#next++));
    return { id, name, memoryBytes: 128 * 1024 ** 2, sshKey: `ssh-ed25519 ${"A".repeat(68)}` };
  }

  async create(name?: string): Promise<SandboxId> {
    return (await askCreate(this.link, { ...this.request(name), note: () => undefined }, never)).id;
  }

  async startAttic(config: Config = {}): Promise<void> {
    this.attic = await this.lab.start("attic", { config, runtimes: [memory(this.machine)] });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.lab[Symbol.asyncDispose]();
  }
}

function memory(machine: MemoryMachine) {
  const open = async () => new MemoryRuntime({ resident: fakeResident }, { machine });
  return { kind: "memory" as const, open };
}
