import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { AccessNode, nodeCaller } from "../../test/support/access-world.ts";
import { FakeLink, fakeId, type MemoryApp, replyOf } from "../../test/support/fake-link.ts";
import { readText } from "../network/index.ts";
import { defaultGrant, parseInvite } from "../core/index.ts";
import type { GrantRow, IssueReply, JoinReply, RevokeReply } from "./index.ts";
import { join } from "./join.ts";

const { signal } = new AbortController();

describe("the owner", () => {
  test("issues, lists and revokes invites, with every term of the grant", async () => {
    await using lab = await Lab.open();
    const grant = { ...defaultGrant, cpus: 0.5, publish: true, relay: true, network: "none", until: 2_000_000_000_000 };
    const issued = await lab.owner<IssueReply>("POST", "/v1/invites", {
      grant,
      uses: 3,
      expiresMs: 60_000,
      note: "for Ann",
    });
    assert.deepEqual(issued.invite.grant, grant);
    assert.deepEqual(
      [issued.invite.uses, issued.invite.note, issued.invite.expiresAt - issued.invite.issuedAt],
      [3, "for Ann", 60_000],
    );
    assert.deepEqual(await lab.owner("GET", "/v1/invites"), { invites: [issued.invite] });
    assert.equal((await lab.owner<{ state: string }>("DELETE", `/v1/invites/${issued.invite.id}`)).state, "revoked");
  });

  test("is told what is wrong with what he asks for, and nothing is read into it", async () => {
    await using lab = await Lab.open();
    for (const body of [
      { uses: 0 },
      { uses: 101 },
      { uses: "2" },
      { expiresMs: 0 },
      { grant: { cpus: "4" } },
      { grant: { kind: "admin" } },
      { more: 1 },
      { note: "x".repeat(65) },
    ]) {
      assert.equal(await lab.status("POST", "/v1/invites", body), 400, JSON.stringify(body));
    }
    assert.equal(await lab.status("POST", "/v1/invites", { note: "x".repeat(5_000) }), 413);
    assert.deepEqual(await lab.owner("GET", "/v1/invites"), { invites: [] });
  });

  test("lists, changes and revokes grants, and hears of the invite that is still open", async () => {
    await using lab = await Lab.open();
    const issued = await lab.owner<IssueReply>("POST", "/v1/invites", { uses: 2 });
    lab.node.invites.redeem(parseInvite(issued.link).token, { id: fakeId(2), name: "guest" });
    const until = lab.node.clock.wallTime() + 1_000;
    assert.equal((await lab.owner<GrantRow>("PATCH", "/v1/grants/guest", { until, cpus: 3 })).grant.until, until);
    assert.equal((await lab.owner<GrantRow>("PATCH", "/v1/grants/guest", { until: null })).grant.until, undefined);
    const { grants } = await lab.owner<{ grants: GrantRow[] }>("GET", "/v1/grants");
    assert.deepEqual(
      grants.map(({ name, ended, grant, invite }) => [name, ended, grant.cpus, invite]),
      [["guest", false, 3, issued.invite.id]],
    );
    assert.deepEqual(await lab.owner<RevokeReply>("DELETE", "/v1/grants/guest"), {
      id: fakeId(2),
      name: "guest",
      openInvite: issued.invite.id,
    });
    assert.equal(await lab.status("DELETE", "/v1/grants/guest"), 404);
    assert.equal(await lab.status("PATCH", "/v1/grants/guest", { cpus: -1 }), 400);
  });
});

describe("a node that joins", () => {
  test("becomes a guest there and the issuer a friend here, and nothing more", async () => {
    await using world = await World.open();
    const { link } = world.issuer.invites.issue({ grant: { cpus: 4 } });
    assert.deepEqual(await world.join({ invite: `'${link}'\n` }), {
      id: world.issuer.id,
      name: world.issuer.deps.name(),
      relation: "friend",
      grant: { ...defaultGrant, cpus: 4 },
    });
    assert.equal(world.issuer.grants.roleOf(nodeCaller(2)), "guest");
    assert.equal(world.guest.grants.roleOf(nodeCaller(1)), "stranger");
    assert.deepEqual(world.issuer.friends, []);
    assert.deepEqual(
      world.guest.friends.map(({ relation, endpoints }) => ({ relation, endpoints })),
      [{ relation: "friend", endpoints: world.issuer.endpoints }],
    );
    assert.equal(world.issuer.grants.list()[0]?.name, world.guest.deps.name());
  });

  test("may say that both machines are his own: then each may do everything on the other", async () => {
    await using world = await World.open();
    const { link } = world.issuer.invites.issue({ grant: { kind: "own" } });
    const { relation, name } = await world.join({ invite: link, own: true, name: "attic" });
    assert.deepEqual([relation, name], ["own", "attic"]);
    assert.equal(world.issuer.grants.roleOf(nodeCaller(2)), "own");
    assert.equal(world.guest.grants.roleOf(nodeCaller(1)), "own");
    assert.deepEqual(
      world.issuer.friends.map(({ id, relation: there }) => [id, there]),
      [[fakeId(2), "own"]],
    );
  });

  test("gets the same again when the reply was lost", async () => {
    await using world = await World.open();
    const { link } = world.issuer.invites.issue({});
    world.loseReply = true;
    await assert.rejects(world.join({ invite: link }), { code: "link-lost" });
    assert.equal(world.issuer.grants.roleOf(nodeCaller(2)), "guest");
    assert.deepEqual((await world.join({ invite: link })).grant, defaultGrant);
  });

  test("learns why it is refused, in the issuer's words", async () => {
    await using world = await World.open();
    const { link, invite } = world.issuer.invites.issue({});
    world.issuer.invites.revoke(invite.id);
    await assert.rejects(world.join({ invite: link }), {
      code: "invite-refused",
      message: /taken back/,
      hint: /new one/,
    });
    assert.deepEqual(world.guest.friends, []);
  });

  test("is told of a bad invite, a bad name and its own invite before anybody is dialled", async () => {
    await using world = await World.open();
    const { link } = world.issuer.invites.issue({});
    await assert.rejects(world.join({ invite: link.slice(0, 70) }), { code: "bad-invite" });
    await assert.rejects(world.join({ invite: link, name: "../x" }), { code: "bad-name" });
    await assert.rejects(world.join({ invite: world.guest.invites.issue({}).link }), { code: "conflict" });
    assert.equal(world.link.requests.length, 0);
  });

  test("takes no lies from the issuer: not a name with control characters, not a grant that is none", async () => {
    await using world = await World.open();
    const { link } = world.issuer.invites.issue({});
    world.reply = { grant: defaultGrant, name: "at\u202etic\u0007" };
    assert.equal((await world.join({ invite: link })).name, "attic");
    world.reply = { grant: { kind: "own" }, name: "x" };
    await assert.rejects(world.join({ invite: link }), { code: "bad-reply" });
  });

  test("does not wait for ever for an issuer that accepts and never answers, and stops when told to", async () => {
    await using world = await World.open();
    const { link } = world.issuer.invites.issue({});
    world.silent = true;
    const waiting = assert.rejects(world.join({ invite: link }), { code: "timed-out", hint: /try again/ });
    await world.guest.clock.advance(15_000);
    await waiting;
    const controller = new AbortController();
    const stopped = assert.rejects(join(world.guest.deps, { invite: link }, controller.signal), { name: "AbortError" });
    await world.guest.clock.advance(1);
    controller.abort();
    await stopped;
    assert.equal(world.guest.clock.sleeperCount, 0);
  });
});

describe("wrong tokens", () => {
  test("are answered alike and rationed by key, and keep no right one out", async () => {
    await using lab = await Lab.open();
    const answers = [];
    for (let i = 0; i < 7; i++) answers.push(await lab.guess(2));
    assert.deepEqual(answers, [...Array.from({ length: 5 }, () => "invite-refused"), "too-often", "too-often"]);
    assert.equal(await lab.redeem(2, "198.51.100.1:1"), "guest"); // the right one passes, whatever came before it
    await lab.node.clock.advance(60_000);
    assert.equal(await lab.guess(2), "invite-refused");
  });

  test("are rationed by address, whatever the key: IPv6 by its /64", async () => {
    await using lab = await Lab.open();
    for (let i = 0; i < 10; i++)
      assert.equal(await lab.guess(10 + i, `[2001:db8::${i + 1}]:${4_000 + i}`), "invite-refused");
    assert.equal(await lab.guess(30, "[2001:db8::abcd]:9"), "too-often");
    assert.equal(await lab.redeem(32, "[2001:db8::abcd]:9"), "guest");
    assert.equal(await lab.guess(31, "[2001:db8:0:1::1]:9"), "invite-refused");
  });

  test("are rationed in all, whatever the keys and addresses, and a right one does not wait", async () => {
    await using lab = await Lab.open();
    let refused = 0;
    for (let i = 0; i < 230; i++) if ((await lab.guess(i, `203.0.${i}.7:1`)) === "too-often") refused++;
    assert.equal(refused, 30);
    assert.equal(await lab.guess(241, "198.51.100.9:1"), "too-often");
    assert.equal(await lab.redeem(240, "198.51.100.9:1"), "guest");
  });

  test("that are no tokens at all do not get that far", async () => {
    await using lab = await Lab.open();
    lab.callAs(2);
    for (const token of ["", "x", "y".repeat(25), "y".repeat(27), "0".repeat(26), 7])
      assert.equal(await lab.status("POST", "/v1/redeem", { token }), 400);
    assert.equal(await lab.status("POST", "/v1/redeem", { token: "y".repeat(26), kind: "own" }), 400);
    assert.equal(await lab.status("POST", "/v1/redeem", { token: "y".repeat(9_000) }), 413);
  });
});

test("only a node redeems: the owner's own programs are told to join", async () => {
  await using lab = await Lab.open();
  assert.equal(await lab.status("POST", "/v1/redeem", { token: "y".repeat(26) }), 403);
});

/** One node's routes, asked as its owner or as another node. */
class Lab implements AsyncDisposable {
  readonly node: AccessNode;
  readonly #app: MemoryApp;

  static async open(): Promise<Lab> {
    const node = new AccessNode(1);
    return new Lab(node, await node.open({ kind: "local" }));
  }

  private constructor(node: AccessNode, app: MemoryApp) {
    this.node = node;
    this.#app = app;
  }

  callAs(number: number, remote = "192.0.2.9:5000"): void {
    this.#app.caller = nodeCaller(number, remote);
  }

  async owner<T>(method: "GET" | "POST" | "PATCH" | "DELETE", path: string, body?: unknown): Promise<T> {
    const { status, value } = await this.#ask({ method, path, body });
    assert.equal(status, 200, JSON.stringify(value));
    return value as T;
  }

  async status(method: "GET" | "POST" | "PATCH" | "DELETE", path: string, body?: unknown): Promise<number> {
    return (await this.#ask({ method, path, body })).status;
  }

  /** The code of the refusal. */
  async guess(number: number, remote?: string): Promise<string> {
    this.callAs(number, remote);
    return await this.#redeem("y".repeat(26));
  }

  /** The role after it, or the code of the refusal. */
  async redeem(number: number, remote: string): Promise<string> {
    const { token } = parseInvite(this.node.invites.issue({}).link);
    this.callAs(number, remote);
    return await this.#redeem(token);
  }

  async #redeem(token: string): Promise<string> {
    const { value } = await this.#ask({ method: "POST", path: "/v1/redeem", body: { token } });
    const { error } = value as { error?: { code: string } };
    return error?.code ?? this.node.grants.roleOf(this.#app.caller);
  }

  async #ask(request: {
    readonly method: "GET" | "POST" | "PATCH" | "DELETE";
    readonly path: string;
    readonly body?: unknown;
  }) {
    const reply = await this.#app.answer(request, signal);
    return { status: reply.status, value: JSON.parse(await readText(reply.body, 1_000_000, signal)) as unknown };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#app[Symbol.asyncDispose]();
  }
}

/** An issuer, and a guest with a link to it that may misbehave. */
class World implements AsyncDisposable {
  readonly issuer: AccessNode;
  readonly guest: AccessNode;
  readonly link: FakeLink;
  loseReply = false;
  silent = false;
  reply: unknown;
  readonly #app: MemoryApp;

  static async open(): Promise<World> {
    const issuer = new AccessNode(1);
    return new World(issuer, await issuer.open(nodeCaller(2)));
  }

  private constructor(issuer: AccessNode, app: MemoryApp) {
    this.issuer = issuer;
    this.#app = app;
    this.guest = new AccessNode(2, { links: () => [this.link] });
    this.link = new FakeLink({
      clock: this.guest.clock,
      peer: issuer.id,
      answer: async (request, ending) => {
        if (this.silent) await this.guest.clock.sleep(Number.POSITIVE_INFINITY, ending);
        if (this.reply !== undefined) return replyOf(200, this.reply);
        const answer = await app.answer(request, ending);
        if (!this.loseReply) return answer;
        this.loseReply = false;
        await readText(answer.body, 10_000, ending);
        throw Object.assign(new Error("lost"), { code: "link-lost" });
      },
    });
  }

  join(request: { readonly invite: string; readonly name?: string; readonly own?: boolean }): Promise<JoinReply> {
    return join(this.guest.deps, request, signal);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#app[Symbol.asyncDispose]();
  }
}
