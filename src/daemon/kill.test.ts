import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { test } from "node:test";
import { DaemonLab, type LabDaemon } from "../../test/support/daemon-lab.ts";
import { type Random, seededRandom, systemClock } from "../base/index.ts";
import { type Home, openDatabase, openHome } from "../store/index.ts";

const never = new AbortController().signal;
const main = new URL("./main.ts", import.meta.url).pathname;
const KILLS = 20;
/** On a slow machine there are fewer of them. */
const MAX_MS = 15_000;
const MIN_KILLS = 4;

test("what a daemon said is done is there after kill -9 at any moment, and its state can be read", {
  timeout: 60_000,
}, async () => {
  await using machines = await DaemonLab.open();
  const attic = await machines.start("attic");
  await using victim = await Victim.open(seededRandom(12));
  const endsAt = systemClock.now() + MAX_MS;
  let kills = 0;
  for (; kills < KILLS && (kills < MIN_KILLS || systemClock.now() < endsAt); kills++) {
    await victim.liveAndDie(attic, kills % 2 === 0 ? "starting" : "working");
    await victim.checkState();
  }
  await victim.start();
  const { invites } = await victim.ask<{ invites: { id: string }[] }>("GET", "/v1/invites");
  const kept = new Set(invites.map(({ id }) => id));
  assert.deepEqual(
    [...victim.promised].filter((id) => !kept.has(id)),
    [],
  );
  const { nodes } = await victim.ask<{ nodes: { id: string }[] }>("GET", "/v1/nodes");
  assert.deepEqual(
    nodes.map(({ id }) => id),
    victim.joined ? [attic.id] : [],
  );
  assert.ok(victim.promised.size > 0 && victim.joined, `${kills} kills, and it never came to work`);
});

/** A daemon in a process of its own that is killed again and again. */
class Victim implements AsyncDisposable {
  /** Ids of invites that it said are issued. */
  readonly promised = new Set<string>();
  joined = false;
  readonly #folder: string;
  readonly #home: Home;
  readonly #random: Random;
  #child: ChildProcess | undefined;
  #key: Buffer | undefined;

  static async open(random: Random): Promise<Victim> {
    const folder = await mkdtemp(join(tmpdir(), "p2prc-kill-"));
    const { platform, getuid } = process;
    const deps = { platform, uid: getuid?.(), runtimeFolder: undefined, tempFolder: tmpdir() };
    return new Victim(folder, await openHome(join(folder, "home"), deps), random);
  }

  private constructor(folder: string, home: Home, random: Random) {
    this.#folder = folder;
    this.#home = home;
    this.#random = random;
  }

  async liveAndDie(attic: LabDaemon, when: "starting" | "working"): Promise<void> {
    this.#spawn();
    if (when === "working") await this.#answers();
    const work = this.#work(attic).catch(() => undefined); // it is killed in the middle
    await systemClock.sleep(this.#random.next() * (when === "working" ? 400 : 1_200), never);
    await this.#kill();
    await work;
  }

  async start(): Promise<void> {
    this.#spawn();
    await this.#answers();
  }

  /** As the next start finds it. */
  async checkState(): Promise<void> {
    openDatabase(this.#home.state, { onBroken: (failure) => assert.fail(failure) }).close();
    const table = await readIfThere(this.#home.ipTable);
    if (table !== undefined) JSON.parse(table.toString());
    const key = await readIfThere(this.#home.key);
    if (this.#key !== undefined) assert.deepEqual(key, this.#key);
    this.#key = key;
  }

  /** @throws where it does not answer, or not with a success */
  ask<T>(method: string, path: string, body?: unknown): Promise<T> {
    return new Promise((resolve, reject) => {
      const headers = body === undefined ? {} : { "content-type": "application/json" };
      const asking = request({ socketPath: this.#home.socket, method, path, headers, agent: false }, (reply) => {
        text(reply).then((said) => {
          if ((reply.statusCode ?? 0) < 300) resolve(JSON.parse(said.trim().split("\n").at(-1) ?? "") as T);
          else reject(new Error(said));
        }, reject);
      });
      asking.on("error", reject).end(body === undefined ? undefined : JSON.stringify(body));
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#kill();
    await rm(this.#folder, { recursive: true, force: true, maxRetries: 5 });
  }

  /** Until something fails. */
  async #work(attic: LabDaemon): Promise<void> {
    await this.#answers();
    for (let round = 0; ; round++) {
      const { invite } = await this.ask<{ invite: { id: string } }>("POST", "/v1/invites", {});
      this.promised.add(invite.id);
      if (!this.joined) {
        const { link } = await attic.ask<{ link: string }>("POST", "/v1/invites", {});
        await this.ask("POST", "/v1/join", { invite: link });
        this.joined = true;
      }
      await this.ask("POST", "/v1/nodes/update", { hops: 1 });
      await this.ask("PATCH", `/v1/nodes/${attic.id}`, { name: `attic-${round}` });
    }
  }

  #spawn(): void {
    const flags = ["--home", this.#home.path, "--no-lan", "--allow-network", "127.0.0.0/8"];
    this.#child = spawn(process.execPath, [main, ...flags], { stdio: ["ignore", "ignore", "inherit"] });
  }

  async #answers(): Promise<void> {
    const child = this.#child;
    for (let tries = 0; tries < 1_000 && child === this.#child && child?.signalCode === null; tries++) {
      if (
        await this.ask("GET", "/v1/status").then(
          () => true,
          () => false,
        )
      )
        return;
      await systemClock.sleep(20, never);
    }
    throw new Error("it does not answer");
  }

  async #kill(): Promise<void> {
    if (this.#child === undefined) return;
    const exited = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await exited;
    this.#child = undefined;
  }
}

async function readIfThere(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
