import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { duplexPair, type Duplex, PassThrough, type Writable } from "node:stream";
import { describe, test } from "node:test";
import { type Answer, CliLab, type LabOptions, type Routes } from "../../../test/support/cli-lab.ts";
import { Failure } from "../../core/light.ts";
import type { Box, Sandbox } from "../../sandbox/index.ts";
import { encodeFrame, type Frame, FrameReader } from "../../sandbox/light.ts";

const GIB = 1024 ** 3;
/** As the lab's clock begins. */
const NOW = Date.UTC(2026, 0, 1);
const sandbox = {
  ...{ id: "aaaabbbbccccdddd", name: "box", guest: "y".repeat(52), state: "running", runtime: "docker" },
  ...{
    image: "debian:bookworm",
    profile: "dev",
    cpus: 2,
    memoryBytes: 4 * GIB,
    diskBytes: 10 * GIB,
    network: "internet",
  },
  ...{ gpus: [], ports: 1, made: NOW, expires: NOW + 8 * 3_600_000, user: "root", hostKey: "ssh-ed25519 AAAA" },
} as unknown as Sandbox;
const ports = [{ internal: 40_001, host: "127.0.0.1", local: 40_001 }];
const box = { node: { id: "n", name: "attic" }, sandbox, reach: "known", ports, sshPort: 40_755 } as unknown as Box;
const touched: Answer = {
  steps: [{ progress: { node: "attic", create: { step: "pulling", image: "debian:bookworm" } } }, { result: box }],
};

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
    const value = { sandboxes: [{ sandbox, guestName: "ada", stats }], frozen: true };
    const { out, err } = await new CliLab({ routes: { "GET /v1/guests": { value } } }).p2prc("ps", "--guests");
    assert.match(out[1] ?? "", /^box +ada +.* 1 GiB of 4 GiB +1 GiB of 10 GiB +- +running$/);
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
      "attic does not answer: box is removed there as soon as it does",
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
  assert.deepEqual(lab.asked[0]?.body, { lifetimeMs: 8 * 3_600_000 });
  assert.equal((await lab.p2prc("extend", "box", "long")).exit, 2);
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
  const stats = () => ({
    value: {
      id: sandbox.id,
      cpuMs: (cpuMs += 500),
      memoryBytes: GIB,
      diskBytes: 0,
      pids: 4,
      receivedBytes: 0,
      sentBytes: 0,
      linkBytes: 0,
    },
  });
  const routes: Routes = {
    "GET /v1/boxes?ask=true": { value: { boxes: [box] } },
    "GET /v1/boxes/aaaabbbbccccdddd/stats": stats,
  };
  const lab = new CliLab({ routes });
  const ended = lab.p2prc("top");
  while (lab.clock.sleeperCount < 2) await new Promise((resolve) => setImmediate(resolve));
  await lab.clock.advance(1_000);
  assert.match((await ended).out[1] ?? "", /^box +attic +50% +1 GiB of 4 GiB +0 B of 10 GiB +4 /);
});

test("p2prc top is drawn anew for who watches, until Ctrl-C", async () => {
  const routes: Routes = { "GET /v1/boxes?ask=true": { value: { boxes: [{ ...box, reach: "lost" }] } } };
  const [stdin, stdout] = [new PassThrough(), new FakeScreen()];
  const lab = new CliLab({ routes, interactive: true, streams: { stdin, stdout, stderr: new PassThrough() } });
  const ended = lab.p2prc("top");
  for (let frames = 0; frames < 3; frames++) {
    while (lab.clock.sleeperCount === 0) await new Promise((resolve) => setImmediate(resolve));
    await lab.clock.advance(2_000);
  }
  lab.interrupt.abort();
  const { exit, out } = await ended;
  assert.equal(exit, 0);
  assert.ok(String(stdout.read()).split("\u001b[H\u001b[J").length >= 3);
  assert.match(out.find((line) => line.startsWith("box")) ?? "", /^box +attic +- +- .* running\?$/);
});

describe("p2prc doctor", () => {
  test("says what is the matter and how to mend it", async () => {
    const finding = { about: "uid ranges", ok: false, words: "none", fix: "sudo usermod …" };
    const value = { runtime: { kind: "bubblewrap", version: "0.8", problems: ["no disk quota"] }, findings: [finding] };
    const { exit, out } = await new CliLab({ routes: { "GET /v1/doctor": { value } } }).p2prc("doctor");
    assert.equal(exit, 0);
    assert.deepEqual(out, [
      "sandboxes: made by bubblewrap 0.8",
      "  but: no disk quota",
      "uid ranges: none",
      "  to mend it: sudo usermod …",
    ]);
  });

  test("fails where no sandbox can be made", async () => {
    const { exit } = await new CliLab({ routes: { "GET /v1/doctor": { value: { findings: [] } } } }).p2prc("doctor");
    assert.equal(exit, 5);
  });
});

describe("p2prc exec", () => {
  test("passes words, variables, folder and user, whatever they look like", async () => {
    const inside = new Inside();
    inside.does = () => [["end", { kind: "exited", code: 0 }]];
    const words = "exec -e A=b=c -w /tmp -u 1000 box -- ls -la --json -- $(x)".split(" ");
    assert.equal((await inside.lab().p2prc(...words)).exit, 0);
    assert.deepEqual(inside.start, {
      argv: ["ls", "-la", "--json", "--", "$(x)"],
      env: { A: "b=c" },
      cwd: "/tmp",
      user: "1000",
    });
    assert.equal(inside.target, "box-exec:box");
  });

  test("passes output to where it belongs, and the exit code through", async () => {
    const inside = new Inside();
    inside.does = () => [
      ["stdout", "out\n"],
      ["stderr", "err\n"],
      ["end", { kind: "exited", code: 42 }],
    ];
    assert.deepEqual(await inside.lab().p2prc("exec", "box", "false"), { exit: 42, out: ["out"], err: ["err"] });
  });

  test("passes every byte of its input, and its end", async () => {
    const inside = new Inside();
    const stdin = new PassThrough();
    const ended = inside.lab({ stdin }).p2prc("exec", "box", "--", "cat");
    stdin.end(Buffer.from([0, 255, 10, 13, 3]));
    await inside.until("stdinEnd");
    inside.say("end", { kind: "exited", code: 0 });
    assert.equal((await ended).exit, 0);
    assert.deepEqual([...inside.input], [0, 255, 10, 13, 3]);
    assert.ok(stdin.destroyed);
  });

  test("gives no input with -n", async () => {
    const inside = new Inside();
    const stdin = new PassThrough();
    stdin.write("the list of a loop");
    const ended = inside.lab({ stdin }).p2prc("exec", "-n", "box", "cat");
    await inside.until("stdinEnd");
    inside.say("end", { kind: "exited", code: 0 });
    await ended;
    assert.deepEqual([inside.input.length, stdin.destroyed], [0, false]);
  });

  test("is raw where this is a terminal: its size goes in, changes too, and keys as they are", async () => {
    const inside = new Inside();
    const [stdin, stdout] = [new FakeTerminal(), new FakeScreen()];
    const ended = inside.lab({ stdin, stdout }).p2prc("exec", "box");
    await inside.until("start");
    assert.deepEqual(inside.start, { argv: [], env: {}, terminal: { columns: 100, rows: 30, type: "xterm" } });
    assert.equal(stdin.raw, true);
    stdout.columns = 50;
    stdout.emit("resize");
    await inside.until("resize");
    assert.deepEqual(JSON.parse(inside.last("resize")), { columns: 50, rows: 30 });
    stdin.write("\u0003");
    await inside.until("stdin");
    inside.say("end", { kind: "exited", code: 130 });
    assert.equal((await ended).exit, 130);
    assert.equal(stdin.raw, false);
    assert.equal(stdout.listenerCount("resize"), 0);
  });

  test("hands Ctrl-C to the command where there is no terminal, and waits for it", async () => {
    const inside = new Inside();
    const lab = inside.lab();
    const ended = lab.p2prc("exec", "box", "sleep", "100");
    await inside.until("start");
    lab.interrupt.abort(new DOMException("SIGTERM", "AbortError"));
    await inside.until("signal");
    assert.equal(inside.last("signal"), "SIGTERM");
    inside.say("end", { kind: "signalled", signal: "SIGTERM" });
    assert.equal((await ended).exit, 143);
  });

  test("says why a command was not started, with the code that shells have for it", async () => {
    const inside = new Inside();
    inside.does = () => [["end", { kind: "refused", code: 127, reason: "no such file" }]];
    const { exit, err } = await inside.lab().p2prc("exec", "box", "nothing");
    assert.deepEqual([exit, err], [127, ['p2prc: "nothing" was not started in box: no such file']]);
  });

  for (const [what, answer, said] of [
    [
      "the node is gone",
      { value: { ...box, reach: "lost" } },
      /attic does not answer any more: the command was cut off/,
    ],
    ["the link broke", { value: box }, /link to attic broke: .* the sandbox runs on/],
    [
      "it was paused",
      { value: { ...box, sandbox: { ...sandbox, state: "paused", reason: "the owner paused it" } } },
      /is paused \(the owner paused it\)/,
    ],
    ["it has ended", new Failure("not-found", '"box" is no longer on attic'), /no longer on attic/],
  ] as const) {
    test(`says when it was cut off that ${what}`, async () => {
      const inside = new Inside({ "GET /v1/boxes/box": answer });
      inside.does = () => [["stdout", "half"]];
      const ended = inside.lab().p2prc("exec", "box", "make");
      await inside.until("start");
      inside.far.end();
      const { exit, err } = await ended;
      assert.ok(exit === 4 || exit === 3);
      assert.match(err.join("\n"), said);
    });
  }

  test("passes on why it could not begin", async () => {
    const lab = new CliLab({ connect: () => new Failure("not-found", 'you have no sandbox "no"') });
    const { exit, err } = await lab.p2prc("exec", "no", "true");
    assert.deepEqual([exit, err], [3, ['p2prc: you have no sandbox "no"']]);
  });

  test("refuses a variable without a name", async () => {
    assert.equal((await new CliLab().p2prc("exec", "-e", "=x", "box")).exit, 2);
    assert.equal((await new CliLab().p2prc("exec", "-e", "A", "box")).exit, 2);
  });
});

describe("p2prc run", () => {
  const removal = {
    "DELETE /v1/boxes/aaaabbbbccccdddd": { value: { id: sandbox.id, name: "box", node: box.node, done: true } },
  };
  const routes: Routes = { "POST /v1/boxes": touched, ...removal };

  test("starts, runs, removes, and passes the exit code through", async () => {
    const inside = new Inside(routes);
    inside.does = () => [
      ["stdout", "made\n"],
      ["end", { kind: "exited", code: 2 }],
    ];
    const lab = inside.lab();
    const { exit, out } = await lab.p2prc(..."run attic --image debian:bookworm -- make -j4".split(" "));
    assert.deepEqual([exit, out], [2, ["made"]]);
    assert.deepEqual(inside.start?.argv, ["make", "-j4"]);
    assert.deepEqual(
      lab.asked.map(({ route }) => route.split(" ")[0]),
      ["POST", "CONNECT", "DELETE"],
    );
    assert.deepEqual(lab.asked[0]?.body, { node: "attic", image: "debian:bookworm" });
  });

  test("takes all words for the command with --near", async () => {
    const inside = new Inside(routes);
    inside.does = () => [["end", { kind: "exited", code: 0 }]];
    const lab = inside.lab();
    await lab.p2prc("run", "--near", "nvidia-smi");
    assert.deepEqual([inside.start?.argv, lab.asked[0]?.body], [["nvidia-smi"], { near: true }]);
  });

  test("removes it also after Ctrl-C, and says when its node cannot be told now", async () => {
    const lost = {
      "DELETE /v1/boxes/aaaabbbbccccdddd": { value: { id: sandbox.id, name: "box", node: box.node, done: false } },
    };
    const inside = new Inside({ ...routes, ...lost });
    const lab = inside.lab();
    const ended = lab.p2prc("run", "attic", "--", "sleep", "100");
    await inside.until("start");
    lab.interrupt.abort();
    await inside.until("signal");
    assert.equal(inside.last("signal"), "SIGINT");
    inside.say("end", { kind: "signalled", signal: "SIGINT" });
    const { exit, err } = await ended;
    assert.equal(exit, 130);
    assert.match(err.at(-1) ?? "", /attic does not answer: box is removed there as soon as it does/);
  });

  test("removes it when the command could not be begun, and leaves it with --keep", async () => {
    const lab = new CliLab({ routes, connect: () => new Failure("link-lost", "the link broke") });
    assert.equal((await lab.p2prc("run", "attic", "--", "true")).exit, 4);
    assert.ok(lab.asked.some(({ route }) => route.startsWith("DELETE")));
    const inside = new Inside(routes);
    inside.does = () => [["end", { kind: "exited", code: 0 }]];
    const keeping = inside.lab();
    await keeping.p2prc("run", "--keep", "attic", "--", "true");
    assert.ok(!keeping.asked.some(({ route }) => route.startsWith("DELETE")));
  });
});

type Said = readonly [Frame["kind"], unknown];

/** The inside of a sandbox: notes what it is told, says what the test says. */
class Inside {
  readonly #near: Duplex;
  readonly far: Duplex;
  readonly #frames: Frame[] = [];
  readonly #news = new EventEmitter();
  readonly #routes: Routes;
  target = "";
  does: (() => readonly Said[]) | undefined;

  constructor(routes: Routes = {}) {
    this.#routes = routes;
    [this.#near, this.far] = duplexPair();
    const reader = new FrameReader();
    this.far.on("data", (bytes: Buffer) => {
      for (const frame of reader.take(bytes)) {
        this.#frames.push(frame);
        this.#news.emit("news");
        if (frame.kind === "start") for (const [kind, content] of this.does?.() ?? []) this.say(kind, content);
      }
    });
  }

  lab(streams: { stdin?: PassThrough; stdout?: Writable } = {}): CliLab {
    const options: LabOptions = {
      routes: this.#routes,
      connect: (target) => {
        this.target = target;
        return this.#near;
      },
    };
    if (streams.stdin === undefined && streams.stdout === undefined) return new CliLab(options);
    const { stdin = new PassThrough(), stdout = new PassThrough() } = streams;
    return new CliLab({ ...options, streams: { stdin, stdout, stderr: new PassThrough() } });
  }

  say(kind: Frame["kind"], content: unknown): void {
    this.far.write(encodeFrame(kind, typeof content === "string" ? content : JSON.stringify(content)));
    if (kind === "end") this.far.end();
  }

  async until(kind: Frame["kind"]): Promise<void> {
    while (!this.#frames.some((frame) => frame.kind === kind))
      await new Promise((resolve) => this.#news.once("news", resolve));
  }

  last(kind: Frame["kind"]): string {
    return String(this.#frames.findLast((frame) => frame.kind === kind)?.content);
  }

  get start(): Record<string, unknown> | undefined {
    const [first] = this.#frames;
    return first === undefined ? undefined : (JSON.parse(String(first.content)) as Record<string, unknown>);
  }

  get input(): Buffer {
    return Buffer.concat(this.#frames.filter(({ kind }) => kind === "stdin").map(({ content }) => content));
  }
}

class FakeTerminal extends PassThrough {
  readonly isTTY = true;
  raw = false;

  setRawMode(raw: boolean): void {
    this.raw = raw;
  }
}

class FakeScreen extends PassThrough {
  readonly isTTY = true;
  columns = 100;
  rows = 30;
}
