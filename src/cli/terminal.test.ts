import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Written } from "../../test/support/cli-lab.ts";
import { VirtualClock } from "../../test/support/virtual-clock.ts";
import { terminal } from "./terminal.ts";

describe("the terminal", () => {
  test("keeps results and words apart", () => {
    const lab = new Lab({ person: false });
    lab.screen.out("a\nb");
    lab.screen.err("c");
    assert.deepEqual([lab.stdout.text, lab.stderr.text], ["a\nb\n", "c\n"]);
  });

  test("shows colours to a person only, and not to one who wants none", () => {
    assert.equal(paintedBy({ person: true }), "\u001b[31mx\u001b[0m\n");
    assert.equal(paintedBy({ person: false }), "x\n");
    assert.equal(paintedBy({ person: true, environment: { NO_COLOR: "1" } }), "x\n");
    assert.equal(paintedBy({ person: true, environment: { NO_COLOR: "" } }), "\u001b[31mx\u001b[0m\n");
    assert.equal(paintedBy({ person: true, environment: { TERM: "dumb" } }), "x\n");
  });

  test("lets nothing through that moves the cursor or turns the writing round", () => {
    const lab = new Lab({ person: true });
    lab.screen.out("a\u001b[2Jb\u0007c\r\u009bd\u202ee\u200bf\tg");
    assert.equal(lab.stdout.text, "a[2Jbcdef\tg\n");
  });
});

describe("progress", () => {
  test("is silent for a second", async () => {
    const lab = new Lab({ person: true });
    lab.screen.progress("walking");
    await lab.clock.advance(999);
    assert.equal(lab.stderr.text, "");
    lab.screen.out("done");
    await lab.clock.advance(10_000);
    assert.equal(lab.stderr.text, "");
  });

  test("shows the newest words after a second, though nothing new comes", async () => {
    const lab = new Lab({ person: true });
    lab.screen.progress("hop 1");
    lab.screen.progress("hop 2");
    await lab.clock.advance(1_000);
    assert.equal(lab.stderr.text, "\r\u001b[Khop 2");
  });

  test("writes over itself, and leaves nothing behind", async () => {
    const lab = new Lab({ person: true });
    lab.screen.progress("hop 1");
    await lab.clock.advance(1_000);
    lab.screen.progress("x".repeat(200));
    lab.screen.clear();
    assert.equal(lab.stderr.text, `\r\u001b[Khop 1\r\u001b[K${"x".repeat(79)}\r\u001b[K`);
  });

  test("writes a line now and then where nobody sees one change", async () => {
    const lab = new Lab({ person: false });
    for (let second = 0; second < 8; second++) {
      lab.screen.progress(`at ${second} s`);
      await lab.clock.advance(1_000);
    }
    assert.equal(lab.stderr.text, "at 0 s\nat 6 s\n");
  });
});

function paintedBy(options: {
  readonly person: boolean;
  readonly environment?: Readonly<Record<string, string>>;
}): string {
  const lab = new Lab(options);
  lab.screen.out("x", "bad");
  return lab.stdout.text;
}

class Lab {
  readonly clock = new VirtualClock();
  readonly stdout: Written & { isTTY: boolean };
  readonly stderr: Written & { isTTY: boolean };
  readonly screen;

  constructor({
    person,
    environment = {},
  }: { readonly person: boolean; readonly environment?: Readonly<Record<string, string>> }) {
    this.stdout = Object.assign(new Written(), { isTTY: person });
    this.stderr = Object.assign(new Written(), { isTTY: person });
    const { signal } = new AbortController();
    this.screen = terminal({ stdout: this.stdout, stderr: this.stderr, environment, clock: this.clock, signal });
  }
}
