import assert from "node:assert/strict";
import { once } from "node:events";
import { PassThrough } from "node:stream";
import { describe, test } from "node:test";
import { CliLab, type Routes } from "../../../test/support/cli-lab.ts";
import { box, FakeScreen, FakeTerminal, Inside, NOW, sandbox, touched } from "../../../test/support/inside-lab.ts";
import { Failure } from "../../core/light.ts";

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

  test("leaves a terminal in which nothing answers Ctrl-C, as in a sandbox that is frozen", async () => {
    const frozen = { ...box, sandbox: { ...sandbox, state: "paused", reason: "the owner paused it" } };
    const inside = new Inside({ "GET /v1/boxes/box": () => ({ value: frozen }) });
    const stdin = new FakeTerminal();
    const ended = inside.lab({ stdin, stdout: new FakeScreen() }).p2prc("exec", "box");
    await inside.until("start");
    for (let press = 0; press < 4; press++) stdin.write("\u0003");
    stdin.write("x\u0003\u0003\u0003\u0003"); // other keys begin anew
    while (!inside.input.includes("x")) await new Promise((resolve) => setImmediate(resolve));
    stdin.write("\u0003\u0003\u0003\u0003\u0003");
    const { exit, err } = await ended;
    assert.deepEqual([exit, stdin.raw], [4, false]);
    assert.match(err.join("\n"), /nothing answered Ctrl-C 5 times, so it was left.*is paused \(the owner paused it\)/);
  });

  test("warns in a terminal once, when the sandbox ends soon", async () => {
    let endsSoon = false;
    const seen = () => ({
      value: { ...box, sandbox: { ...sandbox, expires: NOW + 600_000, ...(endsSoon ? { endsSoon } : {}) } },
    });
    const inside = new Inside({ "GET /v1/boxes/box": seen });
    const lab = inside.lab({ stdin: new FakeTerminal(), stdout: new FakeScreen() });
    const ended = lab.p2prc("exec", "box");
    await inside.until("start");
    await lab.clock.advance(60_000);
    endsSoon = true;
    for (let time = 0; time < 3; time++) await lab.clock.advance(120_000);
    inside.say("end", { kind: "exited", code: 0 });
    assert.equal((await ended).exit, 0);
    const warned = String(inside.stderr.read()).match(/p2prc extend box 2h/g);
    assert.equal(warned?.length, 1);
  });

  test("warns without a terminal, in a line on stderr", async () => {
    const seen = { value: { ...box, sandbox: { ...sandbox, expires: NOW + 600_000, endsSoon: true } } };
    const inside = new Inside({ "GET /v1/boxes/box": seen });
    const lab = inside.lab();
    const ended = lab.p2prc("exec", "box", "make");
    await inside.until("start");
    for (let time = 0; time < 3; time++) await lab.clock.advance(10_000);
    inside.say("end", { kind: "exited", code: 0 });
    const { exit, out, err } = await ended;
    assert.deepEqual([exit, out, err.length], [0, [], 1]);
    assert.match(err[0] ?? "", /^p2prc: box ends in 10m: `p2prc extend box 2h`/);
  });

  test("says that nothing comes because the sandbox is frozen, and that it goes on", async () => {
    let state = "paused";
    const seen = () => ({ value: { ...box, sandbox: { ...sandbox, state, reason: "disk quota" } } });
    const inside = new Inside({ "GET /v1/boxes/box": seen });
    const lab = inside.lab();
    const ended = lab.p2prc("exec", "box", "make");
    await inside.until("start");
    for (let time = 0; time < 3; time++) await lab.clock.advance(10_000);
    state = "running";
    await lab.clock.advance(10_000);
    inside.say("end", { kind: "exited", code: 0 });
    const { exit, err } = await ended;
    assert.deepEqual(
      [exit, err],
      [0, ["p2prc: box is frozen: disk quota. The command waits until it goes on", "p2prc: box goes on"]],
    );
  });

  test("asks seldom how the sandbox is while something comes from it", async () => {
    const inside = new Inside({ "GET /v1/boxes/box": { value: box } });
    const lab = inside.lab();
    const ended = lab.p2prc("exec", "box", "make");
    await inside.until("start");
    for (let time = 0; time < 60; time++) {
      inside.say("stdout", "x");
      await new Promise((resolve) => setImmediate(resolve));
      await lab.clock.advance(2_000);
    }
    inside.say("end", { kind: "exited", code: 0 });
    await ended;
    assert.equal(lab.asked.filter(({ route }) => route === "GET /v1/boxes/box").length, 1);
  });

  test("is ended by one signal while the sandbox is frozen, for there it is heard by nobody", async () => {
    const frozen = { ...box, sandbox: { ...sandbox, state: "paused", reason: "the owner paused it" } };
    const inside = new Inside({ "GET /v1/boxes/box": { value: frozen } });
    const lab = inside.lab();
    const ended = lab.p2prc("exec", "box", "make");
    await inside.until("start");
    lab.interrupt.abort(new DOMException("SIGTERM", "AbortError"));
    const { exit, err } = await ended;
    assert.equal(exit, 143);
    assert.match(err.join("\n"), /left the command in box, which is frozen: the owner paused it/);
  });

  test("stays in a terminal that says something to each Ctrl-C", async () => {
    const inside = new Inside();
    const [stdin, stdout] = [new FakeTerminal(), new FakeScreen()];
    const ended = inside.lab({ stdin, stdout }).p2prc("exec", "box");
    await inside.until("start");
    for (let press = 0; press < 8; press++) {
      stdin.write("\u0003");
      inside.say("stdout", "^C");
      await once(stdout, "data");
    }
    inside.say("end", { kind: "exited", code: 0 });
    assert.equal((await ended).exit, 0);
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
    [
      "its time is over",
      { value: { ...box, sandbox: { ...sandbox, state: "removing", reason: "its time is over" } } },
      /box has ended on attic, and the command with it: its time is over/,
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

  test("says why the link was cut off where a relay ended it a moment ago", async () => {
    const reason = "the relay ended the link via garage: it passes on 512KiB at a time for a stranger";
    const attempt = { path: "relayed", address: "via garage", outcome: "link-lost", ms: 0, reason };
    for (const [ageMs, said] of [
      [1_000, /link to attic broke \(the relay ended the link via garage: it passes on 512KiB/],
      [60_000, /link to attic broke: /],
    ] as const) {
      const attempts = [{ ...attempt, at: NOW - ageMs }];
      const inside = new Inside({
        "GET /v1/boxes/box": { value: box },
        [`GET /v1/nodes/${box.node.id}/why`]: { value: { node: box.node, attempts, untried: [] } },
      });
      const ended = inside.lab().p2prc("exec", "box", "make");
      await inside.until("start");
      inside.far.end();
      assert.match((await ended).err.join("\n"), said);
    }
  });

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
    assert.match(err.at(-1) ?? "", /attic has not confirmed it: box is removed there as soon as it can/);
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
