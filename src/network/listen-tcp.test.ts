import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { describe, test } from "node:test";

const MODULE = JSON.stringify(join(import.meta.dirname, "listen-tcp.ts"));
const LISTEN = `
  import { listenTcp } from ${MODULE};
  const [server] = await listenTcp(() => undefined, { port: 0 }, new AbortController().signal);
  console.log(server.address().address);
  server.close();`;
/** What a kernel without IPv6 says when it is asked for such a socket. */
const WITHOUT = `
  import { Server } from "node:net";
  const listen = Server.prototype.listen;
  Server.prototype.listen = function (options) {
    if (options.host !== "::") return listen.call(this, options);
    process.nextTick(() => this.emit("error", Object.assign(new Error("listen EAFNOSUPPORT"), { code: "EAFNOSUPPORT" })));
    return this;
  };`;

const skip = spawnSync("unshare", ["-rn", "ip", "link"]).status === 0 ? false : "there are no network namespaces here";

describe("listening everywhere", { skip }, () => {
  test("takes both families where there are both", () => {
    assert.equal(listensAt("ip link set lo up", LISTEN), "::");
  });

  test("takes IPv4 where IPv6 was switched off, though [::] can be bound", () => {
    const off = "ip link set lo up && echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6";
    assert.equal(listensAt(off, LISTEN), "0.0.0.0");
  });

  test("takes IPv4 where the kernel knows no IPv6", () => {
    assert.equal(listensAt("ip link set lo up", WITHOUT + LISTEN), "0.0.0.0");
  });
});

/** In a network namespace of its own. */
function listensAt(prepare: string, code: string): string {
  const run = `${prepare} && exec "$0" --input-type=module -e "$1"`;
  const { status, stdout, stderr } = spawnSync("unshare", ["-rn", "sh", "-c", run, process.execPath, code], {
    encoding: "utf8",
    timeout: 20_000,
  });
  assert.equal(status, 0, stderr);
  return stdout.trim();
}
