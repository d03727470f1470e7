import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { after, afterEach, before, describe, test } from "node:test";
import type { GroupTunnel } from "../../src/sandbox/index.ts";
import { bubblewrapSkip } from "../support/bubblewrap-world.ts";
import { LendingLab, untilTrue } from "../support/lending-lab.ts";

/** Three sandboxes of one guest, each with a network of its own that leads nowhere. */
describe("a group's tunnel", { skip: bubblewrapSkip(), timeout: 300_000 }, () => {
  let lab: LendingLab;
  before(async () => {
    lab = await LendingLab.open();
  });
  afterEach(async () => {
    for (const name of await lab.held()) await lab.barn("rm", name);
    await lab.barn("group", "rm", "farm");
  });
  after(async () => await lab[Symbol.asyncDispose]());

  test("carries bytes between sandboxes, by name, to servers at their own address and at 127.0.0.1", async () => {
    await farm(lab);
    const { lines, exit } = await lab.barn("group", "tunnel", "farm", "--port", "8786-8787", "--port", "box2:9100");
    assert.equal(exit, 0, lines.join("\n"));
    assert.match(lines.join("\n"), /^box2 +127\.77\.0\.2 +joined +8786-8787 9100 +0 +0B$/m);
    await serve(lab, { box: "box1", host: "box1", port: 8786 });
    await serve(lab, { box: "box2", host: "127.0.0.1", port: 8787 });
    await serve(lab, { box: "box2", host: "0.0.0.0", port: 9100 });
    const content = randomBytes(5 * 2 ** 20);
    for (const [from, host, port] of [
      ["box3", "box1", 8786],
      ["box2", "127.77.0.1", 8786],
      ["box1", "box2", 8787],
      ["box3", "box2", 9100],
    ] as const) {
      const { stdout, stderr } = await lab.bytes(["exec", from, "--", ...python(HASHED, host, port)], content);
      assert.equal(
        String(stdout),
        createHash("sha256").update(content).digest("hex"),
        `${host}:${port} ${String(stderr)}`,
      );
    }
    const shown = await tunnelOf(lab);
    assert.deepEqual([shown?.open, shown?.refused], [0, 0]);
    const [first] = shown?.members ?? [];
    assert.deepEqual(first?.ports[0], { port: 8786, open: 0, total: 2, bytes: 2 * (content.length + 64) });
  });

  test("leads to nothing that was not named, and leaves no trace", async () => {
    await farm(lab);
    const hosts = async () => String((await lab.bytes(["exec", "box1", "--", "cat", "/etc/hosts"])).stdout);
    const original = await hosts();
    await lab.barn("group", "tunnel", "farm", "--port", "8786");
    assert.match(await hosts(), /^127\.77\.0\.2\tbox2$/m);
    await serve(lab, { box: "box1", host: "0.0.0.0", port: 8788 });
    const other = await lab.bytes(["exec", "box2", "--", ...python(HASHED, "127.77.0.1", 8788)]);
    assert.match(String(other.stderr), /ConnectionRefusedError/);
    assert.equal((await lab.barn("group", "tunnel", "farm", "--stop")).exit, 0);
    assert.equal(await hosts(), original);
    assert.equal((await lab.barn("group", "tunnel", "farm")).exit, 3);
    const gone = await lab.bytes(["exec", "box2", "--", ...python(HASHED, "127.77.0.1", 8786)]);
    assert.match(String(gone.stderr), /ConnectionRefusedError/);
  });

  test("goes on where one of them is removed, and comes back with the node and with the daemon", async () => {
    await farm(lab);
    await lab.barn("group", "tunnel", "farm", "--port", "8786");
    await serve(lab, { box: "box1", host: "box1", port: 8786 });
    assert.equal((await lab.barn("rm", "box2")).exit, 0);
    assert.equal(await works(lab, "box3"), true);
    await lab.killAttic();
    await untilTrue(async () => (await tunnelOf(lab))?.members.every(({ state }) => state === "away") === true);
    await lab.startAttic();
    await untilTrue(async () => await works(lab, "box3"));
    await lab.barn("stop");
    await untilTrue(async () => await works(lab, "box3"));
    const names = (await tunnelOf(lab))?.members.map(({ name, address }) => `${name} ${address}`);
    assert.deepEqual(names, ["box1 127.77.0.1", "box3 127.77.0.3"]);
  });
});

describe("a group's tunnel between the sandboxes of two owners", { skip: bubblewrapSkip(), timeout: 180_000 }, () => {
  test("carries bytes, breaks what is open with the node that goes away, says which one that is, and takes it back", async () => {
    await using lab = await LendingLab.open();
    const cellar = await lab.lender("cellar");
    for (const [node, name] of [
      ["cellar", "box1"],
      ["attic", "box3"],
    ] as const) {
      const words = [node, "--name", name, "--group", "farm", "--network", "none"];
      assert.equal((await lab.barn("touch", ...words)).exit, 0);
    }
    await lab.barn("group", "tunnel", "farm", "--port", "8786");
    await serve(lab, { box: "box1", host: "box1", port: 8786 });
    assert.equal(await works(lab, "box3"), true);
    const open = lab.bytes(["exec", "box3", "--", ...python(WAITING, "box1", 8786)]);
    await untilTrue(async () => (await tunnelOf(lab))?.open === 1);
    await cellar.kill();
    assert.match(String((await open).stdout), /^broken/);
    await untilTrue(async () => (await tunnelOf(lab))?.members[0]?.state === "away");
    const { lines } = await lab.barn("group", "tunnel", "farm");
    assert.match(lines.join("\n"), /^box1 is away, and joins when it is back: \S/m);
    assert.equal(await works(lab, "box3"), false);
    await cellar.start();
    await untilTrue(async () => await works(lab, "box3"));
  });
});

describe("a group's tunnel under a grant", { skip: bubblewrapSkip(), timeout: 180_000 }, () => {
  test("is refused by the owner's node where there are no ports, and takes one of each sandbox where there are", async () => {
    await using lab = await LendingLab.open({ invite: ["--ports", "0"] });
    const words = ["--count", "2", "--near", "--name", "box", "--group", "farm", "--network", "none"];
    assert.equal((await lab.barn("touch", ...words)).exit, 0);
    const refused = await lab.barn("group", "tunnel", "farm", "--port", "8786");
    assert.equal(refused.exit, 7);
    assert.match(refused.lines.join("\n"), /box\d: 0 ports are in use, and the grant allows 0 at once/);
    assert.equal((await lab.barn("group", "tunnel", "farm")).exit, 3);
    const { lines: granted } = await lab.attic("grants", "--json");
    const { grants } = JSON.parse(granted.find((line) => line.startsWith("{")) ?? "") as { grants: { id: string }[] };
    assert.equal((await lab.attic("grant", grants[0]?.id ?? "", "--ports", "2")).exit, 0);
    const { exit, lines } = await lab.barn("group", "tunnel", "farm", "--port", "8786-8799");
    assert.equal(exit, 0, lines.join("\n"));
  });
});

/** Sends its input, ends it, and prints what comes back. */
const HASHED = `
import socket, sys
s = socket.create_connection((sys.argv[1], int(sys.argv[2])), 20)
s.sendall(sys.stdin.buffer.read())
s.shutdown(socket.SHUT_WR)
while (b := s.recv(65536)): sys.stdout.buffer.write(b)
`;
/** Waits for what never comes. */
const WAITING = `
import socket, sys
s = socket.create_connection((sys.argv[1], int(sys.argv[2])), 20)
s.settimeout(100)
try: print("ended" if s.recv(1) == b"" else "said")
except ConnectionResetError: print("broken")
`;
/** Answers each connection with the hash of all that it was sent, once that has ended. */
const HASHING = `
import hashlib, socketserver, sys
class H(socketserver.StreamRequestHandler):
    def handle(self):
        self.wfile.write(hashlib.sha256(self.rfile.read()).hexdigest().encode())
class S(socketserver.ThreadingTCPServer): allow_reuse_address = True
s = S((sys.argv[1], int(sys.argv[2])), H)
print("listening", flush=True)
s.serve_forever()
`;

function python(program: string, host: string, port: number): readonly string[] {
  return ["/usr/bin/python3", "-c", program, host, String(port)];
}

/** box1, box2 and box3, and the group of them. */
async function farm(lab: LendingLab): Promise<void> {
  const words = ["--count", "3", "--near", "--name", "box", "--group", "farm", "--network", "none"];
  const { exit, lines } = await lab.barn("touch", ...words);
  assert.equal(exit, 0, lines.join("\n"));
}

/** Ends with its sandbox. */
async function serve(
  lab: LendingLab,
  { box, host, port }: { readonly box: string; readonly host: string; readonly port: number },
): Promise<void> {
  const started = await lab.bytes([
    "exec",
    box,
    "--",
    "sh",
    "-c",
    'setsid nohup "$@" > /tmp/said 2>&1 & for i in $(seq 100); do grep listening /tmp/said && exit; sleep 0.1; done; cat /tmp/said; exit 1',
    "sh",
    ...python(HASHING, host, port),
  ]);
  assert.equal(started.exit, 0, String(started.stdout) + String(started.stderr));
}

async function works(lab: LendingLab, from: string): Promise<boolean> {
  const { stdout } = await lab.bytes(["exec", from, "--", ...python(HASHED, "box1", 8786)], Buffer.from("x"));
  return String(stdout) === createHash("sha256").update("x").digest("hex");
}

async function tunnelOf(lab: LendingLab): Promise<GroupTunnel | undefined> {
  const { lines } = await lab.barn("group", "tunnel", "farm", "--json");
  const text = lines.find((line) => line.startsWith("{") && !line.startsWith('{"error"'));
  return text === undefined ? undefined : (JSON.parse(text) as GroupTunnel);
}
