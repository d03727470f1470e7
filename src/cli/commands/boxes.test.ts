import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { describe, test } from "node:test";
import { type Answer, CliLab, type Routes } from "../../../test/support/cli-lab.ts";
import { box, FakeScreen, GIB, NOW, sandbox, touched } from "../../../test/support/inside-lab.ts";
import { Failure } from "../../core/light.ts";

describe("p2prc touch", () => {
  test("asks for what was typed, and shows where it is, until when, and its ports", async () => {
    const lab = new CliLab({ routes: { "POST /v1/boxes": touched } });
    const words =
      "touch attic --image debian:bookworm --cpus 2 --memory 4G --disk 10G --ttl 8h --ports 1 --name box --gpu 12G --profile dev --network none";
    const { exit, out } = await lab.p2prc(...words.split(" "));
    assert.equal(exit, 0);
    assert.match(out[0] ?? "", /^box on attic {3}running \(0 ms\) {3}ends \d\d:\d\d {3}ssh box\.p2prc$/);
    assert.equal(out[1], "port 1   127.0.0.1:40001 -> box:40001");
    assert.deepEqual(lab.asked[0]?.body, {
      ...{ node: "attic", image: "debian:bookworm", cpus: 2, ports: 1, name: "box", profile: "dev", network: "none" },
      ...{ memoryBytes: 4 * GIB, diskBytes: 10 * GIB, lifetimeMs: 8 * 3_600_000 },
      gpu: { count: 1, memoryBytes: 12 * GIB },
    });
  });

  test("asks for any GPU with --gpu alone, and for none with none", async () => {
    const lab = new CliLab({ routes: { "POST /v1/boxes": touched } });
    await lab.p2prc("touch", "--near", "--gpu");
    await lab.p2prc("touch", "--near", "--gpu", "none");
    await lab.p2prc("touch", "--near", "--gpu", "RTX 4090");
    assert.deepEqual(
      lab.asked.map(({ body }) => body),
      [{ near: true, gpu: { count: 1 } }, { near: true }, { near: true, gpu: { count: 1, model: "RTX 4090" } }],
    );
  });

  test("takes what runs in it from the start behind --", async () => {
    const lab = new CliLab({ routes: { "POST /v1/boxes": touched } });
    await lab.p2prc("touch", "attic", "--", "python3", "-m", "http.server");
    assert.deepEqual(lab.asked[0]?.body, { node: "attic", command: ["python3", "-m", "http.server"] });
  });

  test("says with --near which nodes were passed over and why", async () => {
    const steps = [{ progress: { node: "barn", passedOver: "has no GPU to lend" } }, { result: box }];
    const { err } = await new CliLab({ routes: { "POST /v1/boxes": { steps } } }).p2prc("touch", "--near");
    assert.deepEqual(err, ["not on barn: has no GPU to lend"]);
  });

  for (const words of [
    ["--name", "../x"],
    ["--name", "a;b"],
    ["--name", "$(reboot)"],
    ["--name", "a\nb"],
    ["--name=-rf"],
    ["--image", "a b"],
    ["--image=-v"],
    ["--image", "$(x)"],
    ["--cpus", "many"],
    ["--memory", "-1"],
    ["--ttl", "soon"],
    ["--ports", "1001"],
    ["--gpu=-1"],
    ["--network", "lan"],
  ]) {
    test(`refuses ${JSON.stringify(words.join(" "))} before anybody is asked`, async () => {
      const lab = new CliLab();
      const { exit, err } = await lab.p2prc("touch", "attic", ...words);
      assert.deepEqual([exit, lab.asked], [2, []]);
      assert.match(err[0] ?? "", /^p2prc: /);
    });
  }

  test("prints what the first P2PRC printed in its form", async () => {
    const lab = new CliLab({ routes: { "POST /v1/boxes": touched } });
    const { out } = await lab.p2prc("--touch", "192.0.2.7", "--ports", "1", "--GPU");
    assert.deepEqual(lab.asked[0]?.body, { node: "192.0.2.7", ports: 1, gpu: { count: 1 } });
    assert.deepEqual(JSON.parse(out.join("\n")), {
      ...{ SSHUsername: "root", SSHPassword: "", SSHCommand: "ssh box.p2prc", ID: "aaaabbbbccccdddd", TagName: "box" },
      ImagePath: "debian:bookworm",
      Ports: {
        Port: [
          {
            PortName: "SSH",
            InternalPort: 22,
            Type: "tcp",
            ExternalPort: 40_755,
            IsUsed: true,
            Description: "SSH Port",
          },
          {
            ...{ PortName: "AutoGen Port", InternalPort: 40_001, Type: "tcp", ExternalPort: 40_001, IsUsed: false },
            Description: "Auto generated TCP port",
          },
        ],
      },
      GPU: "false",
    });
  });

  test("passes on what the node refuses, with its words and its exit code", async () => {
    const refusal = new Failure("not-supported", "this node has no GPU", { hint: "`p2prc ls` shows which have one" });
    const { exit, err } = await new CliLab({ routes: { "POST /v1/boxes": refusal } }).p2prc("--touch", "x", "--GPU");
    assert.deepEqual([exit, err], [5, ["p2prc: this node has no GPU", "hint: `p2prc ls` shows which have one"]]);
  });
});

describe("p2prc ps", () => {
  test("lists mine, with a question mark where the node is lost", async () => {
    const routes = { "GET /v1/boxes?ask=true": { value: { boxes: [box, { ...box, reach: "lost" }] } } };
    const { out } = await new CliLab({ routes }).p2prc("ps");
    assert.match(
      out[1] ?? "",
      /^box +attic +aaaabbbbccccdddd +\d\d:\d\d \(in 8h\) +debian:bookworm +2 +4 GiB +- +40001 +running$/,
    );
    assert.match(out[2] ?? "", /running\? \(its node does not answer\)$/);
  });

  test("warns of those that end soon, with how to let them live", async () => {
    const ending = { ...box, sandbox: { ...sandbox, expires: NOW + 5 * 60_000, endsSoon: true } };
    const routes = { "GET /v1/boxes?ask=true": { value: { boxes: [box, ending] } } };
    const { err } = await new CliLab({ routes }).p2prc("ps");
    assert.deepEqual(err, ["box ends in 5m: `p2prc extend box 2h` lets it live longer"]);
  });

  test("lists with --guests what others have here, and says when all is frozen", async () => {
    const stats = {
      id: sandbox.id,
      cpuMs: 1,
      memoryBytes: GIB,
      diskBytes: GIB,
      pids: 4,
      receivedBytes: 5,
      sentBytes: 6,
      linkBytes: 7,
    };
    const shown = { ...sandbox, published: [{ internal: 80, public: 8_080 }] };
    const value = { sandboxes: [{ sandbox: shown, guestName: "ada", stats }], frozen: true };
    const { out, err } = await new CliLab({ routes: { "GET /v1/guests": { value } } }).p2prc("ps", "--guests");
    assert.match(out[1] ?? "", /^box +ada +.* 1 GiB of 4 GiB +1 GiB of 10 GiB +- +8080->80 +running$/);
    assert.match(err[0] ?? "", /panic off/);
  });

  test("tells what to do when there is none", async () => {
    const routes = { "GET /v1/boxes?ask=true": { value: { boxes: [] } } };
    const { exit, err } = await new CliLab({ routes }).p2prc("ps");
    assert.deepEqual([exit, err], [0, ["you have no sandbox: `p2prc touch NODE` starts one"]]);
  });
});

describe("p2prc rm", () => {
  const reply = (done: boolean): Answer => ({ value: { id: sandbox.id, name: "box", node: box.node, done } });

  test("says when the node was told, and when it will be later", async () => {
    const routes: Routes = { "DELETE /v1/boxes/box": reply(true), "DELETE /v1/boxes/far": reply(false) };
    assert.deepEqual((await new CliLab({ routes }).p2prc("rm", "box", "far")).out, [
      "removed box from attic",
      "attic has not confirmed it: box is removed there as soon as it can",
    ]);
  });

  test("removes the others although one is not there", async () => {
    const lab = new CliLab({ routes: { "DELETE /v1/boxes/box": reply(true) } });
    const { exit, out } = await lab.p2prc("rm", "no", "box");
    assert.deepEqual([exit, out], [3, ["removed box from attic"]]);
  });

  test("asks for what was typed and for nothing else", async () => {
    const lab = new CliLab();
    await lab.p2prc("rm", "../../v1/stop");
    assert.deepEqual(
      lab.asked.map(({ route }) => route),
      ["DELETE /v1/boxes/..%2F..%2Fv1%2Fstop"],
    );
  });
});

test("p2prc extend says until when", async () => {
  const lab = new CliLab({ routes: { "POST /v1/boxes/box/extend": { value: box } } });
  assert.match((await lab.p2prc("extend", "box", "8h")).out[0] ?? "", /^box ends \d\d:\d\d \(in 8h\)$/);
  assert.deepEqual(lab.asked.at(-1)?.body, { lifetimeMs: 8 * 3_600_000 });
  assert.equal((await lab.p2prc("extend", "box", "long")).exit, 2);
});

test("p2prc logs of a sandbox does not take a link that broke for the end", async () => {
  const cut = new Failure("daemon-failed", "the daemon broke off (ECONNRESET)");
  const asked = "GET /v1/boxes/box/logs?lines=50&follow=true";
  for (const [reach, said] of [
    ["lost", /attic does not answer any more: the log was cut off/],
    ["known", /the link to attic broke: the log was cut off/],
  ] as const) {
    const lab = new CliLab({ routes: { [asked]: cut, "GET /v1/boxes/box": { value: { ...box, reach } } } });
    const { exit, err } = await lab.p2prc("logs", "-f", "box");
    assert.equal(exit, 4);
    assert.match(err.join("\n"), said);
  }
});

test("p2prc logs of a sandbox prints its bytes as they are", async () => {
  const routes: Routes = { "GET /v1/boxes/box/logs?lines=50&follow=true": { text: "one\n\u001b[31mtwo" } };
  assert.deepEqual((await new CliLab({ routes }).p2prc("logs", "-f", "box")).out, ["one", "\u001b[31mtwo"]);
});

test("p2prc kick, pause and resume name what they did it to", async () => {
  for (const [verb, said] of [
    ["kick", "has been ended"],
    ["pause", "is frozen"],
    ["resume", "goes on"],
  ] as const) {
    const lab = new CliLab({ routes: { [`POST /v1/guests/box/${verb}`]: { value: sandbox } } });
    assert.deepEqual((await lab.p2prc(verb, "box")).out, [`box (aaaabbbbccccdddd) ${said}`]);
  }
});

test("p2prc panic tells how many it froze, and fails where one could not be", async () => {
  const reply = (problems: string[]): Routes => ({
    "POST /v1/panic": (body) => ({ value: { on: (body as { on: boolean }).on, sandboxes: 2, problems } }),
  });
  const well = await new CliLab({ routes: reply([]) }).p2prc("panic");
  assert.deepEqual([well.exit, well.out], [0, ["2 sandboxes frozen, links of guests closed, not lending"]]);
  const off = await new CliLab({ routes: reply([]) }).p2prc("panic", "off");
  assert.deepEqual((await new CliLab({ routes: reply([]) }).p2prc("panic", "--off")).out, off.out);
  assert.deepEqual(off.out, ["2 sandboxes may go on; `p2prc lend on` lends again"]);
  const ill = await new CliLab({ routes: reply(["box could not be frozen"]) }).p2prc("panic");
  assert.deepEqual([ill.exit, ill.err], [5, ["box could not be frozen"]]);
});

test("p2prc usage shows hours and bytes of each guest", async () => {
  const row = {
    guest: "y".repeat(52),
    guestName: "ada",
    sandboxes: 3,
    cpuMs: 5_400_000,
    memoryByteSeconds: 2 * GIB * 3_600,
  };
  const value = { guests: [{ ...row, receivedBytes: 1e6, sentBytes: 2e6, linkBytes: 3e6, first: NOW, last: NOW }] };
  const { out } = await new CliLab({ routes: { "GET /v1/usage": { value } } }).p2prc("usage");
  assert.match(out[1] ?? "", /^ada +yyyy…yyyy +3 +1\.50 h +2\.00 GiB h +1\.0 MB +2\.0 MB +3\.0 MB /);
});

test("p2prc top shows one frame where nobody watches", async () => {
  let cpuMs = 0;
  const stats = () => {
    cpuMs += 500;
    const rest = { memoryBytes: GIB, diskBytes: 0, pids: 4, receivedBytes: 0, sentBytes: 0, linkBytes: 0 };
    return { value: { id: sandbox.id, cpuMs, ...rest } };
  };
  const routes: Routes = {
    "GET /v1/boxes?ask=true": { value: { boxes: [box] } },
    "GET /v1/boxes/aaaabbbbccccdddd/stats": stats,
  };
  const lab = new CliLab({ routes });
  const ended = lab.p2prc("top");
  // Once looked, and asleep until it looks again.
  while (cpuMs === 0 || lab.clock.sleeperCount === 0) await new Promise((resolve) => setImmediate(resolve));
  await lab.clock.advance(1_000);
  assert.match((await ended).out[1] ?? "", /^box +attic +50% +1 GiB of 4 GiB +0 B of 10 GiB +4 /);
});

test("p2prc top is drawn anew for who watches, until Ctrl-C", async () => {
  const routes: Routes = { "GET /v1/boxes?ask=true": { value: { boxes: [{ ...box, reach: "lost" }] } } };
  const [stdin, stdout] = [new PassThrough(), new FakeScreen()];
  const lab = new CliLab({
    routes,
    interactive: true,
    streams: { stdin, stdout, stderr: new PassThrough(), setRaw: async () => undefined },
  });
  const ended = lab.p2prc("top");
  let drawn = "";
  stdout.on("data", (chunk) => (drawn += String(chunk)));
  for (let turns = 0; turns < 1_000 && drawn.split("\u001b[H\u001b[J").length < 4; turns++)
    await lab.clock.advance(100);
  lab.interrupt.abort();
  const { exit, out } = await ended;
  assert.equal(exit, 0);
  assert.equal(drawn.split("\u001b[H\u001b[J").length, 4);
  assert.match(out.find((line) => line.startsWith("box")) ?? "", /^box +attic +- +- .* running\?$/);
});

describe("p2prc doctor", () => {
  test("says what is the matter and how to mend it", async () => {
    const finding = { about: "uid ranges", ok: false, words: "none", fix: "sudo usermod …" };
    const value = { runtime: { kind: "bubblewrap", version: "0.8", problems: ["no disk quota"] }, findings: [finding] };
    const { exit, out } = await doctor({ value });
    assert.equal(exit, 0);
    assert.deepEqual(out, [
      "sandboxes: made by bubblewrap 0.8",
      "  but: no disk quota",
      "uid ranges: none",
      "  to mend it: sudo usermod …",
      "reach: not looked at, for this node does not lend (`p2prc -s` starts it)",
    ]);
  });

  test("says how others reach this node, and how they would better", async () => {
    const reach = {
      lends: true,
      findings: [
        { about: "NAT", ok: true, words: "ordinary (endpoint-independent)" },
        { about: "UPnP", ok: true, words: "mapped 8088 tcp+udp, verified by 2 peers" },
        { about: "IPv6", ok: false, words: "yes, inbound blocked by your router", fix: "allow TCP 8088 in" },
      ],
      reachableBy: ["punching", "relay through garage and cellar"],
    };
    const { out } = await doctor({ value: { findings: [] }, reach });
    assert.deepEqual(out.slice(-2), [
      "NAT: ordinary (endpoint-independent)   UPnP: mapped 8088 tcp+udp, verified by 2 peers   IPv6: yes, inbound blocked by your router",
      "reachable by: punching, relay through garage and cellar   fix: allow TCP 8088 in",
    ]);
  });

  test("fails where no sandbox can be made", async () => {
    const { exit } = await doctor({ value: { findings: [] } });
    assert.equal(exit, 5);
  });

  function doctor({ value, reach = { lends: false } }: { readonly value: unknown; readonly reach?: unknown }) {
    return new CliLab({ routes: { "GET /v1/doctor": { value }, "GET /v1/reach": { value: reach } } }).p2prc("doctor");
  }
});
