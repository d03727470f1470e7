/**
 * What a sandbox with a network reaches, and what it never does: in namespaces of the test's own, where every packet that
 * comes to the other side is counted. The file starts itself again in them.
 */

import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { createServer, type Server } from "node:net";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import type { SandboxId } from "../../src/sandbox/runtime/sandbox-id.ts";
import { bubblewrapSkip, BubblewrapWorld } from "../support/bubblewrap-world.ts";
import { INTERNET, LAN, OWN, WalledStreet } from "../support/walled-street.ts";

const { signal } = new AbortController();

if (process.env["P2PRC_WALLED"] === "1") describe("a sandbox with a network", { timeout: 120_000 }, inside);
else {
  const needed = ["nft", "pasta", "ip"].filter((tool) => spawnSync(tool, ["--version"]).error !== undefined);
  const lacks = needed.length > 0 ? `${needed.join(", ")} not installed` : false;
  const skip = bubblewrapSkip() || (process.getuid?.() === 0 ? lacks : "namespaces with cables need root");
  test("a sandbox with a network reaches the internet, and nothing else", { skip, timeout: 180_000 }, () => {
    // Without the last it would report to us, and not by its end.
    const env = { ...process.env, P2PRC_WALLED: "1", NODE_TEST_CONTEXT: undefined };
    const words = ["--net", "--mount", process.execPath, "--test", fileURLToPath(import.meta.url)];
    const { status, stdout } = spawnSync("unshare", words, { encoding: "utf8", env });
    assert.equal(status, 0, stdout);
  });
}

function inside(): void {
  let street: WalledStreet;
  let world: BubblewrapWorld;
  let id: SandboxId;
  const canaries: Server[] = [];
  const touched: string[] = [];
  let port = 0;

  before(async () => {
    street = WalledStreet.open();
    street.serve(8_080);
    world = await BubblewrapWorld.open();
    for (const host of ["127.0.0.1", "::1", OWN.four, OWN.six]) {
      const server = createServer((socket) => {
        touched.push(host);
        socket.destroy();
      });
      await new Promise<void>((resolve) => server.listen({ host, port }, resolve));
      port = (server.address() as { port: number }).port;
      canaries.push(server);
    }
    id = await world.make({ network: "internet", profile: "dev" });
  });
  after(async () => {
    for (const server of canaries) server.close();
    await world[Symbol.asyncDispose]();
    await street[Symbol.asyncDispose]();
    process.exit(); // what serves on the far side ends with it
  });
  const dial = (host: string, to: number, proto = "tcp") =>
    world.sh(id, `timeout 3 bash -c 'exec 3<>/dev/${proto}/${host}/${to}; echo hello >&3; head -n 1 <&3'`);

  test("reaches the internet, by both families", async () => {
    assert.equal((await dial(INTERNET.four, 8_080)).out, "hello\n");
    assert.equal((await dial(INTERNET.six, 8_080)).out, "hello\n");
    assert.ok(street.seen().internet > 4);
  });

  test("sends no packet to the LAN, the metadata address or a private network", async () => {
    street.seen();
    for (const host of LAN) {
      for (const to of [53, 8_080]) {
        assert.doesNotMatch((await dial(host, to)).out, /hello/);
        await world.sh(id, `echo x > /dev/udp/${host}/${to}`);
      }
      await world.sh(id, `head -c 4000 /dev/zero > /dev/udp/${host}/9; ping -c 1 -W 1 ${host}`);
    }
    assert.deepEqual(street.seen(), { internet: 0, others: 0 });
    execFileSync("bash", ["-c", `echo x > /dev/udp/${LAN[1]}/9`]); // from this machine itself, to see that it would be counted
    assert.equal(street.seen().others, 1);
  });

  test("reaches nothing of this machine, by none of its addresses", async () => {
    for (const host of ["127.0.0.1", "::1", OWN.four, OWN.six, "0.0.0.0", "localhost"]) await dial(host, port);
    for (const gateway of ["10.0.2.2", "169.254.1.1", "169.254.1.53"]) await dial(gateway, port);
    assert.deepEqual(touched, []);
  });

  test("sends no mail, and joins no chat", async () => {
    street.seen();
    for (const to of [25, 465, 587, 6_667, 445, 23]) assert.match((await dial(INTERNET.four, to)).out, /refused/);
    assert.equal(street.seen().internet, 0);
  });

  test("opens no more than a few new ways at once", async () => {
    street.seen();
    await world.sh(
      id,
      `bash -c 'for i in $(seq 2000 2999); do echo > /dev/udp/${INTERNET.four}/$i; done' 2> /dev/null`,
    );
    const { internet } = street.seen();
    assert.ok(internet >= 50 && internet < 400, String(internet));
  });

  test("cannot flush its filter, by exec either, and is still sound afterwards", async () => {
    const { code } = await world.sh(id, "nft flush ruleset || ip link del eth0 || ip route del default || iptables -F");
    assert.notEqual(code, 0);
    assert.deepEqual(await world.runtime.verify(id, signal), []);
  });

  test("closes what this machine gets to be a neighbour of while it runs", async () => {
    street.far("ip", "addr", "add", "8.8.4.1/24", "dev", "far0");
    execFileSync("ip", ["addr", "add", "8.8.4.7/24", "dev", "up0"]);
    await new Promise((resolve) => setTimeout(resolve, 5_000)); // it looks every two seconds
    street.seen();
    assert.doesNotMatch((await dial("8.8.4.1", 80)).out, /hello/);
    assert.deepEqual(street.seen(), { internet: 0, others: 0 });
    assert.deepEqual(await world.runtime.verify(id, signal), []);
  });

  test("is told apart when its filter is not what it was", async () => {
    const { monitor } = await world.record(id);
    const enter = ["--target", String(monitor?.pid), "--user", "--net", "--", "nft"];
    execFileSync("nsenter", [...enter, "insert", "rule", "inet", "p2prc", "output", "accept"]);
    const broken = await world.runtime.verify(id, signal);
    assert.match(broken.join("; "), /filter was changed/);
  });

  test("is not made where its filter does not load", async () => {
    const nft = "/bin/false";
    await using lame = await BubblewrapWorld.open({ changeTools: (tools) => ({ ...tools, nft }) });
    assert.equal(lame.runtime.facts.walls.networkFilter, false);
    await assert.rejects(lame.make({ network: "internet" }), { code: "not-supported" });
    assert.deepEqual(await lame.runtime.list(signal), []);
    await lame.make({ network: "none" });
  });

  test("leaves nothing that carries packets when it is gone", async () => {
    const { uplink } = await world.record(id);
    await world.runtime.remove(id, signal);
    assert.ok(uplink !== undefined);
    assert.throws(() => process.kill(uplink.pid, 0), { code: "ESRCH" });
  });
}
