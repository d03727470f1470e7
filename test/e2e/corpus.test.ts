/**
 * What could be done to the first P2PRC, each by its number in the list of its weaknesses, tried against a whole node:
 * none of it may happen here.
 */

import assert from "node:assert/strict";
import { Socket as UdpSocket } from "node:dgram";
import dns from "node:dns";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { readFile, stat, writeFile } from "node:fs/promises";
import { request as httpsRequest } from "node:https";
import { connect, Socket } from "node:net";
import { join } from "node:path";
import { describe, test } from "node:test";
import { systemClock } from "../../src/base/index.ts";
import type { Link } from "../../src/network/index.ts";
import { askCreate } from "../../src/sandbox/ask.ts";
import { sandboxIdFrom } from "../../src/sandbox/runtime/sandbox-id.ts";
import { type MemoryMachine, MemoryRuntime } from "../../src/sandbox/runtime/memory.ts";
import { DaemonLab, type LabDaemon } from "../support/daemon-lab.ts";
import { Canary, EvilNode } from "../support/evil-node.ts";
import { fakeResident } from "../support/fake-resident.ts";
import { SignedNode } from "../support/signed-node.ts";

const never = new AbortController().signal;
const sshKey = `ssh-ed25519 ${"A".repeat(68)}`;
const OLD_ROUTES = [
  "/startcontainer",
  "/RemoveContainer",
  "/MAPPort",
  "/FRPPort",
  "/AddProxy",
  "/IpTable",
  "/server_info",
];

describe("what could be done to the first P2PRC", { timeout: 60_000 }, () => {
  test("B1: a peer's key was pasted into a shell's command line; here no word of a peer becomes code", async () => {
    await using street = await Street.open();
    const mark = join(street.lab.folder, "mark");
    const words = [`"; touch ${mark}; "`, `$(touch ${mark})`, `\`touch ${mark}\``, `x\ntouch ${mark}`, "--privileged"];
    for (const word of words) {
      for (const wrong of [
        { sshKey: word },
        { sshKey: `${sshKey} ${word}` },
        { name: word },
        { image: word },
        { id: word },
      ]) {
        assert.equal(
          await street.status("POST", "/v1/sandboxes", { ...street.wish(), ...wrong }),
          400,
          JSON.stringify(wrong),
        );
      }
    }
    await askCreate(street.link, { ...street.wish(), command: words, note: () => undefined }, never);
    assert.deepEqual(
      [...street.machine.values()].map(({ spec }) => spec.command),
      [words],
    );
    assert.equal(existsSync(mark), false);
  });

  test("B3: anybody's GET made, ended and opened things; here no GET changes anything, nor does a stranger", async () => {
    await using street = await Street.open();
    for (const path of OLD_ROUTES) {
      for (const method of ["GET", "POST"]) assert.equal(await anonymous(street.attic, method, path), 404, path);
      assert.equal(await street.status("GET", path), 404, path);
    }
    await askCreate(street.link, { ...street.wish(), note: () => undefined }, never);
    const table = await readFile(join(import.meta.dirname, "../../src/daemon/access-table.txt"), "utf8");
    const changing = table.matchAll(/^(POST|PUT|PATCH|DELETE) (\S+) local=yes/gm);
    const readable = new Set([...table.matchAll(/^GET (\S+)/gm)].map(([, path]) => path));
    let tried = 0;
    for (const [, method = "", path = ""] of changing) {
      if (!readable.has(path)) assert.equal((await street.attic.statusOf("GET", path)).status, 404, `GET ${path}`);
      const status = await anonymous(street.attic, method, path);
      assert.ok([400, 401, 403, 404].includes(status), `${method} ${path}: ${status}`);
      tried++;
    }
    assert.ok(tried > 20);
    assert.equal(street.machine.size, 1);
  });

  test("B4: anybody's proxy entry replaced another's, and led anywhere; here streams lead into one's own sandbox alone", async () => {
    await using street = await Street.open();
    await using canary = await Canary.open();
    const { id } = await askCreate(street.link, { ...street.wish(), note: () => undefined }, never);
    const there = `127.0.0.1:${canary.port}`;
    const rests = [
      there,
      `http://${there}/`,
      `${id}/${there}`,
      `${id}/127.0.0.1/${canary.port}`,
      `${id}/../${canary.port}`,
    ];
    for (const target of [
      there,
      ...["port", "exec", "ssh", "node", "proxy"].flatMap((kind) => rests.map((rest) => `${kind}:${rest}`)),
    ]) {
      await assert.rejects(street.link.connect(target, never), target);
    }
    const other = await street.lab.start("other");
    await other.join(street.attic);
    const theirs = await linkTo(other, street.attic);
    const again = askCreate(theirs, { ...street.wish(), id, note: () => undefined }, never);
    await assert.rejects(again, (error: { code?: string }) => error.code === "conflict" || error.code === "not-found");
    assert.deepEqual([...street.machine.keys()], [id]);
    assert.equal(canary.visits, 0);
  });

  test("B5: an uploaded table made a node call everybody in it; here nobody is called who was only heard of so", async () => {
    await using street = await Street.open();
    await using canary = await Canary.open();
    await using evil = await EvilNode.open();
    const victims = Array.from({ length: 200 }, (_, index) =>
      new SignedNode(index + 1).sign({ addresses: ["127.0.0.1"], port: canary.port }),
    );
    assert.equal(await street.status("POST", "/v1/table", { limit: 1, records: victims.slice(0, 3) }), 400);
    assert.equal(await street.status("POST", "/v1/table", { limit: 1, records: victims }), 413);
    evil.say("/v1/table", { records: victims, cursor: "0123456789abcdef.1", more: false });
    const careful = await street.lab.start("careful", { config: { allowNetworks: [] } });
    await careful.ask("POST", "/v1/nodes", { address: evil.address, id: evil.id });
    await careful.ask("POST", "/v1/nodes/update", { hops: 3 });
    assert.ok(evil.asked.includes("/v1/table"));
    assert.equal(canary.visits, 0);
  });

  test("B6: a port was any text, glued into a URL; here it is a number, and an address is an address", async () => {
    await using street = await Street.open();
    await using canary = await Canary.open();
    await using evil = await EvilNode.open();
    for (const tail of ["/../server_info", "@127.0.0.1", "#x", "?x", "\r\nHost: x", "%2f"]) {
      const { status } = await street.identify(`127.0.0.1:${canary.port}${tail}`);
      assert.ok(status >= 400 || canary.visits === 0, tail);
    }
    for (const address of [`http://127.0.0.1:${canary.port}/`, `x@127.0.0.1:${canary.port}`, "127.0.0.1:99999"]) {
      assert.equal((await street.identify(address)).status, 400, address);
    }
    assert.equal(canary.visits, 0);
    assert.equal((await street.identify(evil.address)).status, 200); // as long as it keeps to the rules
    for (const port of [`${canary.port}/x@evil`, `${canary.port}`, 1e9, -1, null]) {
      evil.describe({ addresses: ["127.0.0.1"], port });
      assert.ok((await street.identify(evil.address)).status >= 400, JSON.stringify(port));
    }
    assert.equal(canary.visits, 0);
  });

  test("B7: a speed test read whatever came, without end; here it ends at 50 MB and its memory stays small", async () => {
    await using street = await Street.open();
    await using evil = await EvilNode.open();
    let sent = 0;
    evil.routes["/v1/speed/download"] = (response) => {
      response.writeHead(200, { "content-type": "application/octet-stream" });
      const chunk = Buffer.alloc(65_536);
      const more = () => {
        while (!response.destroyed && sent < 1e9) {
          sent += chunk.length;
          if (!response.write(chunk)) return void response.once("drain", more);
        }
      };
      more();
    };
    await street.attic.ask("POST", "/v1/nodes", { address: evil.address, id: evil.id });
    const before = process.memoryUsage().rss;
    await street.attic.ask("POST", `/v1/nodes/${evil.id}/speed`, {}).catch(() => undefined);
    assert.ok(sent > 1e6 && sent < 150e6, `${sent} bytes were taken`);
    assert.ok(process.memoryUsage().rss - before < 250e6);
    assert.equal(await anonymous(street.attic, "GET", "/v1/node"), 200);
  });

  test("B9: a torn table file was an empty network; here the file is written for people, and read by nobody", async () => {
    await using street = await Street.open();
    const file = join(street.guest.daemon.parts.home.path, "ip_table.json");
    const before = await street.guest.ask<{ nodes: unknown[] }>("GET", "/v1/nodes");
    assert.equal(before.nodes.length, 1);
    await street.lab.stop("guest");
    await writeFile(file, '[{"Name":"attic","NodeId');
    const guest = await street.lab.start("guest");
    assert.equal((await guest.ask<{ nodes: unknown[] }>("GET", "/v1/nodes")).nodes.length, 1);
    await street.lab.stop("guest");
    const mended = JSON.stringify(JSON.parse(await readFile(file, "utf8")));
    assert.match(mended, /"Name":"attic"/);
    assert.equal((await stat(file)).mode & 0o777, 0o600);
  });

  test("B10: everybody's address was asked of a third party; here nobody else is asked anything", async (t) => {
    const connects = t.mock.method(Socket.prototype, "connect");
    const datagrams = t.mock.method(UdpSocket.prototype, "send");
    const lookups = [
      t.mock.method(dns, "lookup"),
      t.mock.method(dns, "resolve"),
      t.mock.method(dns.promises, "lookup"),
    ];
    await using street = await Street.open();
    await street.guest.ask("POST", "/v1/nodes/update", { hops: 3 });
    await askCreate(street.link, { ...street.wish(), note: () => undefined }, never);
    const places = connects.mock.calls.map(({ arguments: [first] }) => hostOf(first));
    assert.ok(places.includes("127.0.0.1"), "nothing was seen at all");
    assert.deepEqual(
      [...new Set(places.filter((place) => place !== "127.0.0.1" && place !== "a socket in a home"))],
      [],
    );
    assert.equal(datagrams.mock.callCount(), 0);
    for (const { mock } of lookups) {
      assert.deepEqual(
        mock.calls.map(({ arguments: [name] }) => name as unknown).filter((name) => name !== "127.0.0.1"),
        [],
      );
    }
  });

  test("B12: plugins were cloned from any URL into a folder cut out of its text; here no route takes one", async () => {
    await using street = await Street.open();
    const table = await readFile(join(import.meta.dirname, "../../src/daemon/access-table.txt"), "utf8");
    assert.doesNotMatch(table, /plugin|clone|git/);
    for (const path of [
      "/v1/plugins",
      "/v1/plugins/..%2f..%2fetc",
      "/v1/plugins/https:%2f%2fevil%2fx.git",
      "/AddPlugin",
    ]) {
      for (const method of ["GET", "POST"] as const)
        assert.equal(await street.status(method, path, method === "POST" ? {} : undefined), 404);
    }
  });

  test("B13: a slow peer hung the whole node; here it is waited for by nobody else, and let go", async () => {
    await using street = await Street.open();
    await using silent = await Canary.open();
    const { host, port } = street.attic.endpoint;
    const idlers = Array.from({ length: 48 }, () => connect(port, host).on("error", () => undefined));
    await Promise.all(idlers.map((idler) => once(idler, "connect")));
    for (const idler of idlers.slice(24)) idler.write(Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01])); // a handshake's first bytes
    const hanging = street.identify(`127.0.0.1:${silent.port}`);
    const begun = systemClock.now();
    assert.equal(await anonymous(street.attic, "GET", "/v1/node"), 200);
    assert.equal(await street.status("GET", "/v1/offer"), 200);
    assert.ok(systemClock.now() - begun < 500, `${systemClock.now() - begun} ms`);
    assert.ok((await hanging).status >= 400);
    await Promise.all(idlers.map(async (idler) => idler.closed || (await once(idler, "close"))));
    assert.ok(systemClock.now() - begun < 30_000);
  });
});

/** attic lends, guest is its guest, and there is a link between them. */
class Street implements AsyncDisposable {
  readonly lab: DaemonLab;
  readonly machine: MemoryMachine;
  readonly attic: LabDaemon;
  readonly guest: LabDaemon;
  readonly link: Link;
  #next = 1;

  static async open(): Promise<Street> {
    const lab = await DaemonLab.open();
    const machine: MemoryMachine = new Map();
    const open = async () => new MemoryRuntime({ resident: fakeResident }, { machine });
    const attic = await lab.start("attic", { runtimes: [{ kind: "memory", open }] });
    const guest = await lab.start("guest");
    await guest.join(attic);
    return new Street({ lab, machine, attic, guest, link: await linkTo(guest, attic) });
  }

  private constructor(parts: Pick<Street, "lab" | "machine" | "attic" | "guest" | "link">) {
    this.lab = parts.lab;
    this.machine = parts.machine;
    this.attic = parts.attic;
    this.guest = parts.guest;
    this.link = parts.link;
  }

  wish() {
    const id = sandboxIdFrom(new Uint8Array(10).fill(this.#next++));
    return { id, name: `box-${this.#next}`, memoryBytes: 128 * 1024 ** 2, sshKey };
  }

  /** As the guest asks on the link. */
  async status(method: "GET" | "POST", path: string, body?: unknown): Promise<number> {
    const reply = await this.link.request({ method, path, body }, never);
    reply.body.resume();
    return reply.status;
  }

  identify(address: string) {
    return this.attic.statusOf("POST", "/v1/nodes/identify", { address });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.lab[Symbol.asyncDispose]();
  }
}

function linkTo(from: LabDaemon, { id, endpoint }: LabDaemon): Promise<Link> {
  return from.daemon.parts.network.link({ id, endpoints: [endpoint], via: [] }, never);
}

/** As `curl -k` without a key. */
async function anonymous({ endpoint: { host, port } }: LabDaemon, method: string, path: string): Promise<number> {
  const asking = httpsRequest({
    host,
    port,
    path,
    method,
    rejectUnauthorized: false,
    agent: false,
  });
  asking.end();
  const [reply] = (await once(asking, "response")) as [{ statusCode: number; resume(): void }];
  reply.resume();
  return reply.statusCode;
}

/** What `connect` was given: options, a path, or what the runtime makes of them. */
function hostOf(given: unknown): string {
  const [options] = Array.isArray(given) ? (given as unknown[]) : [given];
  if (typeof options !== "object" || options === null) return String(options);
  if ("path" in options && typeof options.path === "string") return "a socket in a home";
  return "host" in options && typeof options.host === "string" ? options.host : "localhost";
}
