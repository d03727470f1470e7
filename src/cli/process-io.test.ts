import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { PassThrough } from "node:stream";
import { describe, test } from "node:test";
import { VirtualClock } from "../../test/support/virtual-clock.ts";
import { processIo } from "./process-io.ts";

describe("a question", () => {
  test("is not written over by progress that was due", async () => {
    const person = new Person();
    const { io } = person;
    io.progress("starting the daemon");
    const answer = io.ask("go on? ");
    await person.clock.advance(5_000);
    person.type("y\n");
    assert.equal(await answer, "y");
    const { seen } = person;
    assert.match(seen, /go on\? /);
    assert.doesNotMatch(seen, /starting/);
  });

  test("is put to nobody where nobody can type", async () => {
    const person = new Person({ atTerminal: false });
    assert.equal(await person.io.ask("go on? "), undefined);
    assert.equal(person.seen, "");
  });
});

describe("a signal", () => {
  test("aborts what goes on, and the second one ends the program", () => {
    const person = new Person();
    person.process.emit("SIGINT");
    assert.ok(person.io.signal.aborted);
    assert.deepEqual(person.exits, []);
    person.process.emit("SIGINT");
    assert.deepEqual(person.exits, [130]);
  });
});

describe("a second signal", () => {
  test("is for the command where that asks for it, and the third one ends the program", () => {
    const person = new Person();
    const insisted = person.io.insisted();
    person.process.emit("SIGINT");
    assert.equal(insisted.aborted, false);
    person.process.emit("SIGINT");
    assert.ok(insisted.aborted);
    assert.deepEqual(person.exits, []);
    person.process.emit("SIGINT");
    assert.deepEqual(person.exits, [130]);
  });
});

describe("a reader that leaves", () => {
  test("ends the program once, with success, however many writes fail", () => {
    const { process, io } = new Person();
    for (let writes = 0; writes < 20; writes++) {
      process.stdout.emit("error", Object.assign(new Error("write EPIPE"), { code: "EPIPE" }));
    }
    assert.ok(io.signal.aborted);
    assert.equal(process.listenerCount("exit"), 1);
    process.emit("exit");
    assert.equal(process.exitCode, 0);
  });
});

/** Somebody at a terminal, or a pipe in their place. */
class Person {
  readonly clock = new VirtualClock();
  readonly exits: number[] = [];
  readonly process;
  readonly io;
  readonly #keyboard: PassThrough;
  readonly #screen: PassThrough;

  constructor({ atTerminal = true }: { readonly atTerminal?: boolean } = {}) {
    const stream = () => Object.assign(new PassThrough(), { isTTY: atTerminal });
    this.#keyboard = stream();
    this.#screen = stream();
    this.process = Object.assign(new EventEmitter(), {
      stdin: this.#keyboard,
      stdout: stream(),
      stderr: this.#screen,
      env: { TERM: "dumb" },
      exitCode: undefined as number | undefined,
      exit: (code: number) => this.exits.push(code),
    });
    const process = this.process as unknown as NodeJS.Process;
    this.io = processIo(process, { home: "/home/ada", bin: "/opt/p2prc/bin.ts", clock: this.clock }).io;
  }

  get seen(): string {
    const bytes = this.#screen.read() as Buffer | null;
    return bytes?.toString() ?? "";
  }

  type(text: string): void {
    this.#keyboard.write(text);
  }
}
