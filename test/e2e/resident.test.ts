import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { describe, test } from "node:test";
import { type Exec, ResidentLab } from "../support/resident-lab.ts";
import { encodeFrame, FrameReader } from "../../src/sandbox/resident/frames.ts";

const { signal } = new AbortController();
const terminal = { columns: 90, rows: 30, type: "xterm" };
const MiB = 1024 * 1024;

for (const how of ["socket", "stdio"] as const) {
  describe(`a resident on ${how}`, () => {
    test("keeps stdout, stderr and the exit code apart, and hands over stdin and its end", async () => {
      await using lab = await ResidentLab.open(how);
      const ran = await lab.run(["sh", "-c", "cat; echo problem >&2; exit 3"], {}, "in\n");
      assert.deepEqual(ran, { stdout: "in\n", stderr: "problem\n", end: { kind: "exited", code: 3 } });
    });
  });
}

describe("exec", () => {
  test("names the signal that ended a process", async () => {
    await using lab = await ResidentLab.open();
    const { end } = await lab.run(["sh", "-c", "kill -TERM $$"]);
    assert.deepEqual(end, { kind: "signalled", signal: "SIGTERM" });
  });

  test("says 127 and 126 with the reason, as shells do", async () => {
    await using lab = await ResidentLab.open();
    const missing = await lab.run(["no-such-program"]);
    assert.deepEqual(missing.end, { kind: "refused", code: 127, reason: "no such program: no-such-program" });
    const folder = await lab.run(["/"]);
    assert.deepEqual(folder.end, { kind: "refused", code: 126, reason: "it is a folder" });
    const text = await lab.run(["/etc/passwd"]);
    assert.deepEqual(text.end, { kind: "refused", code: 126, reason: "permission denied" });
  });

  test("gives a clean environment: who one is, and what the caller and the runtime say", async () => {
    await using lab = await ResidentLab.open("socket", ["--env", "IMAGE=of the image", "--env", "BOTH=image"]);
    const { stdout } = await lab.run(["env"], { env: { MINE: "a=b", BOTH: "caller" } });
    const names = stdout
      .trim()
      .split("\n")
      .map((line) => line.split("=")[0]);
    const expected = ["BOTH", "HOME", "IMAGE", "LANG", "LOGNAME", "MINE", "PATH", "SHELL", "USER"];
    assert.deepEqual(new Set(names), new Set(expected));
    assert.match(stdout, /^MINE=a=b$/mu);
    assert.match(stdout, /^BOTH=caller$/mu);
  });

  test("starts in the home, or where it is told, and says where it cannot", async () => {
    await using lab = await ResidentLab.open();
    assert.equal((await lab.run(["pwd"], { cwd: "/usr" })).stdout, "/usr\n");
    const { end } = await lab.run(["pwd"], { cwd: "/nowhere" });
    assert.deepEqual(end, { kind: "refused", code: 126, reason: "no such folder: /nowhere" });
    const nobody = await lab.run(["true"], { user: "no-such-user" });
    assert.deepEqual(nobody.end, { kind: "refused", code: 126, reason: "no such user: no-such-user" });
  });

  test("becomes somebody else where it is root", { skip: process.getuid?.() !== 0 && "not root" }, async () => {
    await using lab = await ResidentLab.open();
    const { stdout } = await lab.run(["sh", "-c", "id -u; id -G; echo $USER"], { user: "nobody", cwd: "/" });
    assert.equal(stdout, "65534\n65534\nnobody\n");
  });

  test("gives a user without a row the home that the runtime names, else one to write in", {
    skip: process.getuid?.() !== 0 && "not root",
  }, async () => {
    const words = ["sh", "-c", "echo $HOME; pwd"];
    await using named = await ResidentLab.open("socket", ["--env", "HOME=/var"]);
    assert.equal((await named.run(words, { user: "54321" })).stdout, "/var\n/var\n");
    await using bare = await ResidentLab.open();
    assert.equal((await bare.run(words, { user: "54321" })).stdout, "/tmp\n/tmp\n");
  });

  test("sends signals to all that the command started", async () => {
    await using lab = await ResidentLab.open();
    const exec = await lab.exec(["sh", "-c", "trap 'echo caught; exit 9' INT; sleep 60 & echo ready; wait"]);
    await exec.said("ready");
    exec.send("signal", "SIGINT");
    assert.deepEqual((await exec.ended()).end, { kind: "exited", code: 9 });
  });

  test("ends at once when something in the background holds its output open", async () => {
    await using lab = await ResidentLab.open();
    const { stdout, end } = await lab.run(["sh", "-c", "sleep 60 & echo $!"]);
    assert.deepEqual(end, { kind: "exited", code: 0 });
    process.kill(Number(stdout), "SIGKILL");
  });

  test("gives the stream up on what is not a frame, or does not belong there", async () => {
    await using lab = await ResidentLab.open();
    const bad = [
      Buffer.from("GET / HTTP/1.1\r\n"),
      encodeFrame("stdin", "first"),
      encodeFrame("start", "{"),
      encodeFrame("start", JSON.stringify({ argv: "ls" })),
      encodeFrame("start", JSON.stringify({ argv: ["a\0b"] })),
      encodeFrame("start", JSON.stringify({ argv: ["ls"], env: { "A=B": "c" } })),
      encodeFrame("start", JSON.stringify({ argv: ["ls"], terminal: { columns: 1e9, rows: 1, type: "x" } })),
    ];
    for (const bytes of bad) {
      const stream = await lab.inside.connect("exec", "", signal);
      const closed = new Promise((resolve) => stream.on("error", () => {}).once("close", resolve));
      stream.resume().write(bytes);
      await closed;
    }
    assert.equal((await lab.run(["echo", "well"])).stdout, "well\n");
  });

  test("leaves nothing behind, one after the other", async () => {
    await using lab = await ResidentLab.open();
    for (let warm = 0; warm < 20; warm++) await lab.run(["true"]);
    const before = await lab.leftovers();
    for (let round = 0; round < 200; round++) await lab.run(["true"]);
    assert.deepEqual(await lab.leftovers(), before);
  });

  test("has at most 256 streams at once, and says so", async () => {
    await using lab = await ResidentLab.open();
    const execs = await Promise.all(Array.from({ length: 256 }, () => lab.inside.connect("exec", "", signal)));
    const more = lab.inside.connect("exec", "", signal);
    const outcome = await Promise.race([
      more.then(
        () => "opened",
        (error: { code: string }) => error.code,
      ),
      new Promise((resolve) => setTimeout(resolve, 300, "waits")),
    ]);
    assert.notEqual(outcome, "opened");
    for (const exec of execs) exec.destroy();
    await more.catch(() => undefined);
  });
});

describe("exec on a terminal", () => {
  test("is a login shell where nothing is said, of the size that is said, and follows when it changes", async () => {
    await using lab = await ResidentLab.open();
    const exec = await lab.exec([], { terminal, env: { PS1: "" } });
    exec.send("stdin", "stty size\n");
    await exec.said("30 90");
    exec.send("resize", JSON.stringify({ columns: 100, rows: 40 }));
    exec.send("stdin", "stty size; echo $TERM; exit 7\n");
    await exec.said("40 100");
    const { stdout, end } = await exec.ended();
    assert.match(stdout, /xterm\r\n/u);
    assert.deepEqual(end, { kind: "exited", code: 7 });
  });

  test("hands Ctrl-C and signals to the job in the foreground, and the end of the input to who reads", async () => {
    await using lab = await ResidentLab.open();
    const exec = await lab.exec(["sh", "-c", "cat; echo after; sleep 60; echo never"], { terminal });
    exec.send("stdin", "line\n");
    await exec.said("line\r\nline");
    exec.send("stdinEnd");
    await exec.said("after");
    exec.send("signal", "SIGTERM");
    assert.deepEqual((await exec.ended()).end, { kind: "signalled", signal: "SIGTERM" });
  });

  test("delivers all of what a program wrote before it ended, to a reader that is slow", async () => {
    await using lab = await ResidentLab.open();
    const stream = await lab.inside.exec(
      { argv: ["head", "-c", `${4 * MiB}`, "/dev/zero"], env: {}, terminal },
      signal,
    );
    await new Promise((resolve) => setTimeout(resolve, 600)); // longer than anybody waits for a quiet end
    const reader = new FrameReader();
    let bytes = 0;
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      for (const { kind, content } of reader.take(chunk)) if (kind === "stdout") bytes += content.length;
    }
    assert.equal(bytes, 4 * MiB);
  });
});

describe("backpressure", () => {
  for (const shape of [undefined, terminal]) {
    const where = shape === undefined ? "pipes" : "a terminal";
    test(`on ${where} keeps what a reader leaves with the writer`, async () => {
      await using lab = await ResidentLab.open();
      const start = { argv: ["yes"], env: {}, ...(shape === undefined ? {} : { terminal: shape }) };
      const before = await lab.residentBytes();
      const streams = await Promise.all(Array.from({ length: 8 }, () => lab.inside.exec(start, signal)));
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      const grown = (await lab.residentBytes()) - before;
      for (const stream of streams) stream.destroy();
      assert.ok(grown < 48 * MiB, `grew by ${Math.round(grown / MiB)} MiB`);
    });

    test(`on ${where} keeps what a process does not read with the sender, and the rest goes on`, async () => {
      await using lab = await ResidentLab.open();
      const script = "stty raw 2>/dev/null; echo ready; exec sleep 60";
      const exec = await lab.exec(["sh", "-c", script], shape === undefined ? {} : { terminal: shape });
      await exec.said("ready");
      const before = await lab.residentBytes();
      const sent = await sendUntilStopped(exec);
      assert.ok(sent < 8 * MiB, `it took ${sent} bytes`);
      assert.equal((await lab.run(["echo", "well"])).stdout, "well\n");
      const grown = (await lab.residentBytes()) - before;
      assert.ok(grown < 24 * MiB, `grew by ${Math.round(grown / MiB)} MiB`);
    });
  }
});

describe("a stream that breaks", () => {
  test("hangs up on what was started, with and without a terminal", async () => {
    await using lab = await ResidentLab.open();
    for (const more of [{}, { terminal }]) {
      const exec = await lab.exec(["sh", "-c", "echo pid $$.; sleep 60; true"], more);
      await exec.said(".");
      exec.stream.destroy();
      await gone(pidIn(exec));
    }
  });

  test("hangs up on all of it when the stream below is cut", async () => {
    await using lab = await ResidentLab.open();
    const exec = await lab.exec(["sh", "-c", "echo pid $$.; exec sleep 60"]);
    await exec.said(".");
    lab.cut();
    await gone(pidIn(exec));
  });

  test("spares who was put in the background with setsid or nohup", async () => {
    await using lab = await ResidentLab.open();
    for (const word of ["setsid", "nohup"]) {
      const script = `${word} sh -c 'echo $$ > ${lab.folder}/${word}; exec sleep 60' > /dev/null 2>&1 < /dev/null & sleep 0.3; echo pid $$.; exec sleep 60`;
      const exec = await lab.exec(["sh", "-c", script]);
      await exec.said(".");
      const background = Number(await readFile(`${lab.folder}/${word}`, "utf8"));
      exec.stream.destroy();
      await gone(pidIn(exec));
      assert.doesNotThrow(() => process.kill(background, 0), `${word} did not help`);
      process.kill(background, "SIGKILL");
    }
  });

  test("ends after 10 s who does not hear the hang-up", {
    skip: process.env["P2PRC_SLOW"] === undefined && "takes 10 s: set P2PRC_SLOW",
  }, async () => {
    await using lab = await ResidentLab.open();
    const exec = await lab.exec(["sh", "-c", "trap : HUP; exec 2>/dev/null; echo pid $$.; while :; do sleep 1; done"]);
    await exec.said(".");
    exec.stream.destroy();
    await new Promise((resolve) => setTimeout(resolve, 5_000));
    assert.doesNotThrow(() => process.kill(pidIn(exec), 0));
    await gone(pidIn(exec), 8_000);
  });
});

function pidIn(exec: Exec): number {
  const pid = Number(/pid (\d+)/u.exec(exec.text)?.[1]);
  assert.ok(pid > 0, exec.text);
  return pid;
}

/** Within a bound: the kernel tells nobody but the parent. */
async function gone(pid: number, boundMs = 3_000): Promise<void> {
  for (let waited = 0; waited < boundMs; waited += 20) {
    if (!(await readdir("/proc")).includes(String(pid))) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`process ${pid} is still there`);
}

/** How much was taken when, for half a second, nothing more was. */
async function sendUntilStopped(exec: Exec): Promise<number> {
  const chunk = Buffer.alloc(64 * 1024, "x");
  let sent = 0;
  for (;;) {
    if (sent > 64 * MiB) return sent;
    if (exec.send("stdin", chunk)) sent += chunk.length;
    else {
      const drained = await Promise.race([
        new Promise((resolve) => exec.stream.once("drain", () => resolve(true))),
        new Promise((resolve) => setTimeout(resolve, 500, false)),
      ]);
      sent += chunk.length;
      if (drained === false) return sent;
    }
  }
}
