import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { describe, test } from "node:test";
import { type Log, silentLog } from "../base/index.ts";
import { admits, type Caller, Failure, type Role } from "../core/index.ts";
import type { Tunnel } from "../network/index.ts";
import { type TunnelKind, tunnelOpener } from "./tunnels.ts";

describe("a CONNECT stream", () => {
  test("is opened by its kind, with the rest of the target and the caller", async () => {
    const lab = new Lab();
    await lab.connect("echo:box/8080:x");
    assert.deepEqual([lab.opened, lab.accepted, lab.refused], [["box/8080:x"], 1, []]);
  });

  test("is refused to a role that the kind does not admit, before anything is made ready", async () => {
    const lab = new Lab("stranger");
    await lab.connect("echo:box");
    assert.deepEqual([lab.opened, lab.refused], [[], ["not-allowed"]]);
  });

  for (const target of ["", "echo", "shell:box", ":box", "ECHO:box", "echo box:1"]) {
    test(`of no known kind is not there: "${target}"`, async () => {
      const lab = new Lab();
      await lab.connect(target);
      assert.deepEqual([lab.opened, lab.refused], [[], ["not-found"]]);
    });
  }

  test("is refused with what keeps it from being made ready", async () => {
    const lab = new Lab();
    lab.fails = new Failure("busy", "no room");
    await lab.connect("echo:box");
    assert.deepEqual([lab.accepted, lab.refused, lab.defects], [0, ["busy"], []]);
  });

  test("tells nobody of a defect but the log", async () => {
    const lab = new Lab();
    lab.fails = new TypeError("the secret reason");
    await lab.connect("echo:box");
    assert.deepEqual([lab.refused, lab.defects], [["not-found"], [lab.fails]]);
  });

  test("is not answered when the caller has left meanwhile", async () => {
    const lab = new Lab();
    lab.leaves = true;
    await lab.connect("echo:box");
    assert.deepEqual([lab.accepted, lab.refused, lab.defects], [0, [], []]);
  });
});

/** One kind of tunnel, `echo`, for guests, and one caller. */
class Lab {
  readonly opened: string[] = [];
  readonly refused: string[] = [];
  readonly defects: unknown[] = [];
  accepted = 0;
  fails: Error | undefined;
  leaves = false;
  readonly #gone = new AbortController();
  readonly #open: (tunnel: Tunnel) => void;

  constructor(role: Role = "guest") {
    const log: Log = { ...silentLog, error: (_message, facts) => void this.defects.push(facts?.["error"]) };
    const echo: TunnelKind = {
      kind: "echo",
      admits: admits.guests,
      open: async (rest, _caller, signal) => {
        this.opened.push(rest);
        if (this.leaves) this.#gone.abort();
        signal.throwIfAborted();
        if (this.fails !== undefined) throw this.fails;
        return () => undefined;
      },
    };
    this.#open = tunnelOpener({ kinds: [echo], roleOf: () => role, log });
  }

  async connect(target: string): Promise<void> {
    const caller: Caller = { kind: "anonymous", remote: "192.0.2.7:1" };
    this.#open({
      target,
      caller,
      gone: this.#gone.signal,
      accept: () => {
        this.accepted++;
        return new PassThrough();
      },
      refuse: ({ code }) => void this.refused.push(code),
    });
    await new Promise((resolve) => setImmediate(resolve));
  }
}
