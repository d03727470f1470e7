import assert from "node:assert/strict";
import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import { describe, test } from "node:test";
import { DaemonLab } from "../../test/support/daemon-lab.ts";
import { accessTable } from "../access/index.ts";
import { systemClock, within } from "../base/index.ts";
import { admits, Failure } from "../core/index.ts";
import type { TunnelKind } from "./tunnels.ts";

const never = new AbortController().signal;
const table = new URL("./access-table.txt", import.meta.url);

describe("what a node answers, and to whom", () => {
  test("is what stands in access-table.txt, and no more", async () => {
    await using machines = await DaemonLab.open();
    const { surface } = (await machines.start("attic")).daemon;
    const now = `${accessTable(surface.routes, surface.tunnels).join("\n")}\n`;
    if (process.env["P2PRC_WRITE_ACCESS_TABLE"] === "yes") await writeFile(table, now);
    assert.equal(
      now,
      await readFile(table, "utf8"),
      "read the difference; where it is meant, run this test with P2PRC_WRITE_ACCESS_TABLE=yes",
    );
  });

  test("has a line for each kind of tunnel too", async () => {
    await using machines = await DaemonLab.open();
    const { surface } = (await machines.start("attic", { tunnels: [echo] })).daemon;
    assert.deepEqual(
      accessTable(surface.routes, surface.tunnels).filter((line) => line.startsWith("CONNECT echo:")),
      ["CONNECT echo: local=yes own=yes guest=yes stranger=not-allowed anonymous=not-allowed"],
    );
  });

  test("is held to on the wire", async () => {
    await using machines = await DaemonLab.open();
    const attic = await machines.start("attic", { tunnels: [echo] });
    const stranger = await machines.start("stranger");
    const link = await stranger.daemon.parts.network.identify(attic.endpoint, never);
    const answer = async (method: "GET" | "POST", path: string) =>
      (await link.request({ method, path, body: method === "POST" ? {} : undefined }, never)).status;
    assert.equal(await answer("GET", "/v1/node"), 200);
    assert.equal(await answer("GET", "/v1/status"), 404);
    assert.equal(await answer("POST", "/v1/stop"), 404);
    assert.equal(await answer("GET", "/metrics"), 404);
    await assert.rejects(link.connect("echo:", never), { code: "not-allowed" });
    await assert.rejects(link.connect("shell:", never), { code: "not-found" });
  });
});

describe("a grant that ends", { timeout: 30_000 }, () => {
  test("takes the guest's links and tunnels with it within 5 s", async () => {
    await using machines = await DaemonLab.open();
    const attic = await machines.start("attic", { tunnels: [echo] });
    const guest = await machines.start("guest");
    await guest.join(attic);
    const target = { id: attic.id, endpoints: [attic.endpoint], via: [] };
    const link = await guest.daemon.parts.network.link(target, never);
    const tunnel = await link.connect("echo:", never);
    tunnel.on("error", () => undefined); // cut off
    tunnel.write("hello");
    assert.equal(String((await once(tunnel, "data"))[0]), "hello");

    const ended = Promise.all([once(tunnel, "close"), link.ended]);
    await attic.ask("DELETE", `/v1/grants/${guest.id}`);
    await soon(5_000, ended);
    assert.equal(link.open, false);

    const again = await guest.daemon.parts.network.link(target, never);
    await assert.rejects(again.connect("echo:", never), { code: "not-allowed" });
  });

  test("by its time does the same", async () => {
    await using machines = await DaemonLab.open();
    const attic = await machines.start("attic", { tunnels: [echo] });
    const guest = await machines.start("guest");
    await guest.join(attic);
    const link = await guest.daemon.parts.network.link({ id: attic.id, endpoints: [attic.endpoint], via: [] }, never);
    const tunnel = await link.connect("echo:", never);
    tunnel.on("error", () => undefined).resume();
    const ended = once(tunnel, "close");
    await attic.ask("PATCH", `/v1/grants/${guest.id}`, { until: systemClock.wallTime() + 1_000 });
    await soon(6_000, ended);
  });
});

describe("a daemon", () => {
  test("undoes what it began when it cannot start", async () => {
    await using machines = await DaemonLab.open();
    const first = await machines.start("attic");
    await assert.rejects(machines.start("barn", { config: { port: first.endpoint.port } }), { code: "port-in-use" });
    const barn = await machines.start("barn"); // the home is free again
    assert.deepEqual((await barn.statusOf("GET", "/v1/status")).status, 200);
  });

  test("ends when its person says so, after the answer", async () => {
    await using machines = await DaemonLab.open();
    const attic = await machines.start("attic");
    assert.deepEqual(await attic.ask("POST", "/v1/stop"), {});
    await soon(2_000, attic.stopped);
  });
});

/** For guests: sends back what comes. */
const echo: TunnelKind = {
  kind: "echo",
  admits: admits.guests,
  open: async () => (stream) => void stream.pipe(stream),
};

async function soon<T>(timeoutMs: number, done: Promise<T>): Promise<T> {
  const late = () => new Failure("timed-out", `not within ${timeoutMs} ms`);
  return await within({ clock: systemClock, timeoutMs, late }, () => done, never);
}
