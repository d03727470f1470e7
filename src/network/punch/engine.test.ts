import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createSocket } from "node:dgram";
import { EventEmitter, once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { promisify } from "node:util";
import { freePorts, LOOPBACK, PunchLab } from "../../../test/support/punch-lab.ts";
import {
  boundFrames,
  type Dht,
  type DhtOptions,
  loadEngine,
  quietenDht,
  quietenServer,
  refreshNow,
  type SecretStream,
} from "./engine.ts";

describe("the engine", () => {
  for (const bootstrap of [undefined, null, false, "node1.example:49737"]) {
    test(`opens no DHT with ${String(bootstrap)} for bootstrap nodes: it would join a public network`, async () => {
      const { openDht } = await loadEngine();
      const options = { ...(await plain()), bootstrap } as unknown as DhtOptions;
      assert.throws(() => openDht(options), /public network/);
    });
  }

  for (const wrong of [{ host: "::" }, { host: "localhost" }, { port: 0 }, { port: 70_000 }, { publicHost: "::1" }]) {
    test(`opens no DHT with ${JSON.stringify(wrong)}`, async () => {
      const { openDht } = await loadEngine();
      const options = { ...(await plain()), ...wrong };
      assert.throws(() => openDht(options), TypeError);
    });
  }

  test("asks nobody but the nodes it was given", async () => {
    const { openDht } = await loadEngine();
    const dht = openDht(await plain());
    await dht.fullyBootstrapped();
    assert.deepEqual(dht.bootstrapNodes, []);
    assert.deepEqual(dht.toArray(), []);
    await dht.destroy();
  });

  test("asks no node that others name where packets may not be sent", async () => {
    await using lab = await PunchLab.open();
    const { openDht } = await loadEngine();
    const bootstrap = [{ host: LOOPBACK, port: lab.port }];
    const dht = openDht({ ...(await plain()), bootstrap, mayReach: ({ port }) => port === lab.port });
    await dht.fullyBootstrapped();
    assert.deepEqual(dht.toArray(), bootstrap);
    await dht.destroy({ force: true });
  });

  test("keeps no process from its end where its port is taken", async () => {
    const port = await freePorts(1);
    await using taken = createSocket("udp4").bind(port, LOOPBACK);
    await once(taken, "listening");
    const engine = JSON.stringify(new URL("./engine.ts", import.meta.url).href);
    const script = `
      const { bindDht, loadEngine } = await import(${engine});
      const keyPair = { publicKey: Buffer.alloc(32), secretKey: Buffer.alloc(64) };
      const { openDht } = await loadEngine();
      const dht = openDht({ bootstrap: [], keyPair, host: "${LOOPBACK}", port: ${port}, publicHost: "${LOOPBACK}" });
      await bindDht(dht).catch((error) => console.log(error.code));`;
    const args = ["--input-type=module", "--eval", script];
    const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 20_000, killSignal: "SIGKILL" });
    assert.equal(stdout, "EADDRINUSE\n");
  });

  test("is imported by one file", () => {
    const root = join(import.meta.dirname, "../..");
    const files = readdirSync(root, { recursive: true, encoding: "utf8" }).filter((name) =>
      /(?<!\.test)\.ts$/.test(name),
    );
    const importing = files.filter((name) =>
      /(?:from|import\() ?"(?:hyperdht|@hyperswarm|dht-rpc|udx-native|sodium)/.test(
        readFileSync(join(root, name), "utf8"),
      ),
    );
    assert.deepEqual(importing.sort(), ["network/punch/engine.ts", "network/punch/hyperdht.d.ts"]);
  });
});

describe("boundFrames", () => {
  test("ends a stream whose next frame would be larger than 128 KiB, and no other", () => {
    const stream = new FakeStream();
    boundFrames(stream as unknown as SecretStream);
    stream._len = 0;
    stream._len += 128 * 1024;
    assert.equal(stream._len, 128 * 1024);
    assert.equal(stream.destroyed, false);
    stream._len += 1;
    assert.equal(stream.destroyed, true);
  });

  test("knows the name by which the library counts", async () => {
    const { openDht } = await loadEngine();
    const dht = openDht(await plain());
    const stream = dht.connect(Buffer.alloc(32, 1));
    stream.on("error", () => {});
    assert.ok("_len" in stream && stream._len === 0);
    stream.destroy();
    await dht.destroy({ force: true });
  });
});

describe("an idle end", () => {
  test("pings its relays every 20 s, where the library does every 3", async () => {
    const { openDht } = await loadEngine();
    const options = await plain();
    const dht = openDht({ ...options, publicHost: LOOPBACK });
    const server = dht.createServer({}, () => {});
    await server.listen(options.keyPair);
    const sleeper = server._announcer?._sleeper;
    assert.ok(sleeper !== undefined, "the library has changed");
    const pauses: number[] = [];
    sleeper.pause = (ms) => {
      pauses.push(ms);
      return Promise.resolve();
    };
    quietenServer(server);
    await sleeper.pause(3_000);
    await sleeper.pause(1_000);
    assert.deepEqual(pauses, [20_000, 1_000]);
    await dht.destroy({ force: true });
  });

  test("looks at its table and for nodes a quarter as often, and always where it knows nobody", async () => {
    const engine = await loadEngine();
    const dht = engine.openDht(await plain());
    assert.ok(dht._pingSome !== undefined, "the library has changed");
    let [looks, refreshes] = [0, 0];
    let nodes = [{ host: LOOPBACK, port: 8088 }];
    const fake = { toArray: () => nodes, _pingSome: () => void looks++, refresh: () => void refreshes++ };
    const idle = fake as unknown as Dht;
    quietenDht(idle);
    const tick = () => {
      fake._pingSome();
      fake.refresh();
    };
    for (let ticks = 0; ticks < 8; ticks++) tick();
    assert.deepEqual([looks, refreshes], [2, 2]);
    refreshNow(idle);
    assert.equal(refreshes, 3);
    nodes = [];
    for (let ticks = 0; ticks < 8; ticks++) tick();
    assert.deepEqual([looks, refreshes], [10, 11]);
    await dht.destroy({ force: true });
  });
});

class FakeStream extends EventEmitter {
  destroyed = false;
  _len = 0;

  destroy(): void {
    this.destroyed = true;
  }
}

async function plain(): Promise<DhtOptions> {
  const keyPair = { publicKey: Buffer.alloc(32), secretKey: Buffer.alloc(64) };
  return { bootstrap: [], keyPair, host: LOOPBACK, port: await freePorts(1), mayReach: () => true };
}
