import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { FakeLink, fakeReach } from "../../test/support/fake-link.ts";
import { VirtualClock } from "../../test/support/virtual-clock.ts";
import type { PingProgress } from "./contract.ts";
import { ping } from "./ping.ts";

describe("ping", () => {
  test("says that a link was lost, makes it anew and goes on", async () => {
    const lab = new Lab();
    const pinging = lab.ping(4);
    await lab.clock.advance(230); // in the middle of the second sample
    lab.loseLink();
    await lab.clock.advance(2_000);
    assert.deepEqual(
      lab.told.map(({ rttMs, lost }) => rttMs ?? lost),
      [20, "the link to the other node was lost", 20, 20],
    );
    const { sent, lost, medianMs } = await pinging;
    assert.deepEqual({ sent, lost, medianMs }, { sent: 4, lost: 1, medianMs: 20 });
    assert.equal(lab.links.length, 2);
  });

  test("waits for no path that is silent while another answers", async () => {
    const lab = new Lab();
    const pinging = lab.ping(3);
    await lab.clock.advance(100);
    lab.pathDies();
    await lab.clock.advance(2_600);
    assert.deepEqual(
      lab.told.map(({ rttMs, lost }) => rttMs ?? lost),
      [20, "no answer, and another path has one", 20],
    );
    await pinging;
  });

  test("fails at once when the node cannot be reached", async () => {
    const lab = new Lab();
    lab.links.length = 0;
    await assert.rejects(lab.ping(4), { code: "unreachable" });
    assert.deepEqual(lab.told, []);
  });

  test("fails when not a single sample came back", async () => {
    const lab = new Lab("silent");
    const pinging = assert.rejects(lab.ping(2), { code: "timed-out" });
    await lab.clock.advance(11_000);
    await pinging;
    assert.deepEqual(
      lab.told.map(({ lost }) => lost),
      ["no answer within 5 s", "no answer within 5 s"],
    );
  });

  test("watches the link closely while it lasts, and not after", async () => {
    const lab = new Lab();
    const pinging = lab.ping(1);
    await lab.clock.advance(10);
    assert.equal(lab.links[0]?.holders, 1);
    await lab.clock.advance(10);
    await pinging;
    assert.equal(lab.links[0]?.holders, 0);
  });
});

class Lab {
  readonly clock = new VirtualClock();
  readonly told: PingProgress[] = [];
  readonly links: FakeLink[];
  readonly #rttMs: number | undefined;
  #dead: FakeLink | undefined;

  constructor(kind: "answers" | "silent" = "answers") {
    this.#rttMs = kind === "answers" ? 20 : undefined;
    this.links = [this.#link()];
  }

  loseLink(): void {
    this.links.at(-1)?.break();
    this.links.push(this.#link());
  }

  /** Its link says nothing any more, and after two seconds the network has another one. */
  pathDies(): void {
    this.#dead = this.links.at(-1);
    this.links.push(this.#link());
  }

  ping(count: number) {
    const reach = fakeReach(() => this.links.filter((link) => link !== this.#dead || this.clock.now() < 2_000));
    const target = { id: this.#link().peer, name: "attic", endpoints: [], via: [] };
    return ping(
      { reach, nameOf: () => "garage", clock: this.clock },
      { target, count, note: (progress) => void this.told.push(progress) },
      new AbortController().signal,
    );
  }

  #link(): FakeLink {
    const link: FakeLink = new FakeLink({
      clock: this.clock,
      rttMs: () => (link === this.#dead ? undefined : this.#rttMs),
    });
    return link;
  }
}
