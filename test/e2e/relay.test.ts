/** Whole daemons, one of which nobody can dial: what a person does with it goes through a third. */

import assert from "node:assert/strict";
import { once } from "node:events";
import { describe, test } from "node:test";
import { systemClock } from "../../src/base/index.ts";
import { formatInvite, parseInvite } from "../../src/core/index.ts";
import type { Status, Why } from "../../src/daemon/index.ts";
import type { Link } from "../../src/network/index.ts";
import { askCreate, connectSandbox } from "../../src/sandbox/ask.ts";
import { encodeFrame, FrameReader } from "../../src/sandbox/resident/frames.ts";
import { MemoryRuntime } from "../../src/sandbox/runtime/memory.ts";
import { type SandboxId, sandboxIdFrom } from "../../src/sandbox/runtime/sandbox-id.ts";
import type { NodeRow } from "../../src/table/index.ts";
import { DaemonLab, type LabDaemon } from "../support/daemon-lab.ts";
import { fakeResident } from "../support/fake-resident.ts";

const never = new AbortController().signal;

describe("a node that nobody can dial", { timeout: 60_000 }, () => {
  test("names its relay, and is pinged and used through it", async () => {
    await using street = await Street.open();
    const { attic, barn, garage } = street;
    assert.deepEqual((await street.attic.ask<Status>("GET", "/v1/status")).relay.via, [
      { id: garage.id, name: "garage" },
    ]);
    const name = barn.daemon.parts.table.nameOf(garage.id);
    const pinged = await barn.ask<{ result: { path: string; via: string } }>("POST", `/v1/nodes/${attic.id}/ping`, {});
    assert.deepEqual([pinged.result.path, pinged.result.via], ["relayed", name]);
    const link = barn.daemon.parts.network.existing(attic.id);
    assert.deepEqual([link?.path.kind, link?.path.via], ["relayed", garage.id]);
    assert.ok(link);
    const id = sandboxIdFrom(new Uint8Array(10).fill(1));
    const wish = { id, name: "box", memoryBytes: 128 * 1024 ** 2, sshKey: `ssh-ed25519 ${"A".repeat(68)}` };
    await askCreate(link, { ...wish, note: () => undefined }, never);
    const port = await connectSandbox(link, { id, wish: { kind: "port", port: 8080 } }, never);
    port.write("ping");
    assert.equal(String((await once(port, "data"))[0]), "ping");
    port.destroy();
    assert.equal(await echoed(link, id, "hello"), "hello");
    const { attempts, path, untried } = await barn.ask<Why>("GET", `/v1/nodes/${attic.id}/why`);
    assert.deepEqual(path, { kind: "relayed", remote: `via ${name}`, via: name });
    assert.equal(attempts.find(({ outcome }) => outcome === "open")?.reason, "in use");
    assert.deepEqual(
      untried.map((one) => one.path),
      ["punched"],
    );
    assert.deepEqual((await barn.ask<NodeRow>("GET", `/v1/nodes/${attic.id}`)).viaNames, [name]);
    assert.match(
      attempts.map(({ path, address, outcome }) => `${path} ${address} ${outcome}`).join("\n"),
      /relayed via .* open/,
    );
    const { links } = await barn.ask<Status>("GET", "/v1/status");
    const shown = links.find(({ id: to, asks }) => to === attic.id && asks);
    assert.deepEqual([shown?.path, typeof shown?.via], ["relayed", "string"]);
    const { counts, registered } = (await garage.ask<Status>("GET", "/v1/status")).relay;
    assert.deepEqual([counts.streams, registered], [1, 1]);
    assert.ok(counts.bytes > 1_000);
  });
});

describe("the relays of a node", { timeout: 60_000 }, () => {
  test("are three in different networks; one that is lost is replaced within 10 s, and others hear of it", async () => {
    await using lab = await DaemonLab.open();
    const allowNetworks = ["127.0.1.0/24", "127.0.2.0/24", "127.0.3.0/24", "127.0.4.0/24"];
    const attic = await lab.start("attic", { config: { listen: ["127.0.9.1"], allowNetworks } });
    for (const number of [1, 2, 3, 4]) {
      const relay = await lab.start(`relay${number}`, { config: { listen: [`127.0.${number}.1`], allowNetworks } });
      await attic.join(relay);
    }
    const viaNames = async () =>
      (await attic.ask<Status>("GET", "/v1/status")).relay.via.map(({ name }) => name).toSorted();
    await until(async () => (await viaNames()).length === 3);
    const [lost = ""] = await viaNames();
    await lab.stop(lost);
    const stoppedAt = systemClock.now();
    await until(async () => {
      const names = await viaNames();
      return names.length === 3 && !names.includes(lost);
    });
    assert.ok(systemClock.now() - stoppedAt < 10_000);
    assert.equal(attic.daemon.parts.own.latest.record.via.length, 3);
  });
});

/** What `cat` inside says. */
async function echoed(link: Link, id: SandboxId, input: string): Promise<string> {
  const stream = await connectSandbox(link, { id, wish: { kind: "exec" } }, never);
  const reader = new FrameReader();
  stream.write(encodeFrame("start", JSON.stringify({ argv: ["cat"], env: {} })));
  stream.write(encodeFrame("stdin", input));
  stream.write(encodeFrame("stdinEnd", ""));
  let out = "";
  for await (const bytes of stream as AsyncIterable<Buffer>)
    for (const { kind, content } of reader.take(bytes)) if (kind === "stdout") out += content.toString();
  return out;
}

/** garage can be dialled by all, attic by nobody, and barn has an invite of attic's and knows nobody else. */
class Street implements AsyncDisposable {
  readonly lab: DaemonLab;
  readonly garage: LabDaemon;
  readonly attic: LabDaemon;
  readonly barn: LabDaemon;

  static async open(): Promise<Street> {
    const lab = await DaemonLab.open();
    try {
      const allowNetworks = ["127.0.1.0/24"];
      const garage = await lab.start("garage", { config: { listen: ["127.0.1.1"], allowNetworks } });
      const runtime = { kind: "memory" as const, open: async () => new MemoryRuntime({ resident: fakeResident }) };
      const attic = await lab.start("attic", { config: { listen: ["127.0.9.1"], allowNetworks }, runtimes: [runtime] });
      const barn = await lab.start("barn", { config: { allowNetworks, lends: false } });
      await attic.join(garage);
      await until(() => attic.daemon.parts.own.latest.record.via.length === 1);
      const { link } = await attic.ask<{ link: string }>("POST", "/v1/invites", {});
      // As from behind a NAT: an address of its own that leads nowhere.
      await barn.ask("POST", "/v1/join", { invite: formatInvite({ ...parseInvite(link), endpoints: [] }) });
      return new Street({ lab, garage, attic, barn });
    } catch (error) {
      await lab[Symbol.asyncDispose]();
      throw error;
    }
  }

  private constructor({ lab, garage, attic, barn }: Pick<Street, "lab" | "garage" | "attic" | "barn">) {
    this.lab = lab;
    this.garage = garage;
    this.attic = attic;
    this.barn = barn;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.lab[Symbol.asyncDispose]();
  }
}

async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  const end = systemClock.now() + 15_000;
  while (!(await isSo())) {
    assert.ok(systemClock.now() < end, "it did not come about within 15 s");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
