import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, test } from "node:test";
import { type IPty, spawn } from "@lydell/node-pty";
import { bubblewrapSkip } from "../support/bubblewrap-world.ts";
import { Machines } from "../support/machines.ts";

const BIN = join(import.meta.dirname, "../../src/cli/bin.ts");

describe("p2prc exec in a real terminal", { skip: bubblewrapSkip(), timeout: 120_000 }, () => {
  test("is a shell there: its size, keys, Ctrl-C and exit code", async () => {
    await using machines = await Machines.open();
    const attic = await machines.leaveRunning("attic", ["serve", "--name", "attic"]);
    await attic.until((lines) => lines.some((line) => line.startsWith("listening on ")));
    const invited = await machines.run("attic", ["invite", "--json", "--own"]);
    const { link } = JSON.parse(invited.lines.find((line) => line.startsWith("{")) ?? "") as { link: string };
    await machines.run("barn", ["join", link]);
    await machines.run("barn", ["touch", "attic", "--name", "box"]);

    const screen = new Screen(machines.homeOf("barn"), ["exec", "box", "--", "sh"]);
    await screen.until(/[#$] $/);
    screen.type("stty size; tty | cut -c1-9\r");
    await screen.until(/\r\n30 100\r\n\/dev\/pts\/\r\n/);
    screen.pty.resize(50, 20);
    screen.type("sleep 0.2; stty size\r");
    await screen.until(/\r\n20 50\r\n/);
    screen.type("sleep 100; echo code $?\r");
    await screen.until(/sleep 100; echo code \$\?\r\n/);
    screen.type("\u0003"); // for what runs inside, not for us
    await screen.until(/\^C/);
    screen.type("echo still here\r");
    await screen.until(/\r\nstill here\r\n/);
    screen.type("exit 5\r");
    assert.equal(await screen.ended, 5);

    await machines.run("barn", ["rm", "box"]);
  });
});

class Screen {
  readonly pty: IPty;
  readonly ended: Promise<number>;
  #text = "";

  constructor(home: string, words: readonly string[]) {
    this.pty = spawn(process.execPath, [BIN, ...words], {
      cols: 100,
      rows: 30,
      env: { ...process.env, P2PRC_HOME: home, TERM: "xterm" },
    });
    this.pty.onData((text) => (this.#text += text));
    this.ended = new Promise((resolve) => this.pty.onExit(({ exitCode }) => resolve(exitCode)));
  }

  type(text: string): void {
    this.#text = "";
    this.pty.write(text);
  }

  /** At most 20 s. */
  async until(shown: RegExp): Promise<void> {
    for (let tries = 0; tries < 400; tries++) {
      if (shown.test(this.#text)) return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    this.pty.kill();
    assert.fail(`${String(shown)} has not been shown; but:\n${JSON.stringify(this.#text)}`);
  }
}
