import assert from "node:assert/strict";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";
import { AccessNode, nodeCaller } from "../../test/support/access-world.ts";
import { fakeId } from "../../test/support/fake-link.ts";
import { TinyDisk } from "../../test/support/tiny-disk.ts";
import { defaultGrant, parseInvite } from "../core/index.ts";
import { openDatabase } from "../store/index.ts";

const DAY_MS = 24 * 3_600_000;
const MINUTE_MS = 60_000;

describe("an invite", () => {
  test("says where to redeem it, is good once and for a day, and grants the default", () => {
    const node = new AccessNode(1);
    const { link, invite } = node.invites.issue({});
    assert.deepEqual(
      { ...parseInvite(link), token: "" },
      { issuer: node.id, token: "", endpoints: node.endpoints, via: [] },
    );
    assert.deepEqual(
      [invite.uses, invite.expiresAt - invite.issuedAt, invite.state, invite.grant],
      [1, DAY_MS, "open", defaultGrant],
    );
  });

  test("binds its grant to the key that redeems it", () => {
    const node = new AccessNode(1);
    const token = issue(node, { grant: { cpus: 4, gpus: 1 } });
    assert.equal(node.grants.roleOf(nodeCaller(2)), "stranger");
    assert.deepEqual(redeem(node, token, 2), { ...defaultGrant, cpus: 4, gpus: 1 });
    assert.equal(node.grants.roleOf(nodeCaller(2)), "guest");
    assert.equal(node.grants.roleOf(nodeCaller(3)), "stranger");
    assert.deepEqual(node.invites.list()[0]?.redeemedBy, [
      { id: fakeId(2), name: "node-2", at: node.clock.wallTime() },
    ]);
  });

  test("for one of my own nodes makes the key my own", () => {
    const node = new AccessNode(1);
    redeem(node, issue(node, { grant: { kind: "own" } }), 2);
    assert.equal(node.grants.roleOf(nodeCaller(2)), "own");
  });

  test("works again for the same key, also when it is used up or expired by then, and takes no other use", () => {
    const node = new AccessNode(1);
    const token = issue(node, { uses: 2 });
    redeem(node, token, 2);
    redeem(node, token, 2);
    redeem(node, token, 3);
    node.clock.jumpWallTime(2 * DAY_MS);
    assert.deepEqual(redeem(node, token, 2), defaultGrant);
    assert.equal(node.invites.list()[0]?.redeemedBy.length, 2);
  });

  test("is refused to others when it is used, with the reason", () => {
    const node = new AccessNode(1);
    const token = issue(node, {});
    redeem(node, token, 2);
    assert.throws(() => redeem(node, token, 3), { code: "invite-refused", message: /was used already/ });
    assert.equal(node.invites.list()[0]?.state, "used");
  });

  test("is refused when it has expired, two minutes late and no sooner", () => {
    const node = new AccessNode(1);
    const token = issue(node, { expiresMs: 10 * MINUTE_MS, uses: 9 });
    node.clock.jumpWallTime(12 * MINUTE_MS - 1);
    redeem(node, token, 2);
    node.clock.jumpWallTime(1);
    assert.throws(() => redeem(node, token, 3), { code: "invite-refused", message: /has expired/ });
    assert.equal(node.invites.list()[0]?.state, "expired");
  });

  test("is refused when it was revoked; what came of it before stays", () => {
    const node = new AccessNode(1);
    const { link, invite } = node.invites.issue({ uses: 5 });
    const { token } = parseInvite(link);
    redeem(node, token, 2);
    assert.equal(node.invites.revoke(` ${invite.id.toUpperCase()} `).state, "revoked");
    assert.throws(() => redeem(node, token, 3), { code: "invite-refused", message: /taken back/ });
    assert.equal(node.grants.roleOf(nodeCaller(2)), "guest");
    assert.throws(() => node.invites.revoke("nope"), { code: "not-found" });
  });

  test("does not bring a revoked guest back, though it has uses left", () => {
    const node = new AccessNode(1);
    const token = issue(node, { uses: 5 });
    redeem(node, token, 2);
    node.grants.revoke(fakeId(2));
    assert.throws(() => redeem(node, token, 2), { code: "invite-refused", message: /has ended/ });
    assert.equal(node.grants.roleOf(nodeCaller(2)), "stranger");
  });

  test("of a guest's kind takes nothing from one of my own nodes", () => {
    const node = new AccessNode(1);
    redeem(node, issue(node, { grant: { kind: "own" } }), 2);
    assert.equal(redeem(node, issue(node, {}), 2)?.kind, "own");
  });

  test("that is newer replaces what the guest had", () => {
    const node = new AccessNode(1);
    redeem(node, issue(node, { grant: { cpus: 8 } }), 2);
    assert.equal(redeem(node, issue(node, { grant: { cpus: 1 } }), 2)?.cpus, 1);
    assert.equal(node.grants.of(fakeId(2))?.cpus, 1);
  });

  test("and its uses survive a restart, and so does what was granted and taken back", () => {
    const node = new AccessNode(1);
    const [used, open, revoked] = [issue(node, {}), issue(node, { grant: { cpus: 7 } }), issue(node, {})];
    redeem(node, used, 2);
    redeem(node, issue(node, {}), 4);
    node.grants.revoke(fakeId(4));
    node.invites.revoke(node.invites.list()[1]?.id ?? "");
    const after = node.restarted(1);
    assert.deepEqual(after.invites.list(), node.invites.list());
    assert.deepEqual(after.grants.list(), node.grants.list());
    assert.equal(after.grants.roleOf(nodeCaller(2)), "guest");
    assert.equal(after.grants.roleOf(nodeCaller(4)), "stranger");
    assert.throws(() => redeem(after, used, 3), /used already/);
    assert.throws(() => redeem(after, revoked, 3), /taken back/);
    assert.equal(redeem(after, open, 3)?.cpus, 7);
  });

  test("counts by this node's clock alone: a year ahead it has expired, a year back it has not", () => {
    const node = new AccessNode(1);
    const token = issue(node, {});
    node.clock.jumpWallTime(365 * DAY_MS);
    assert.throws(() => redeem(node, token, 2), /has expired/);
    node.clock.jumpWallTime(-2 * 365 * DAY_MS);
    assert.ok(redeem(node, token, 2));
  });

  test("is unknown with a token that is one character off, and the token is nowhere on disk or in the log", () => {
    const node = new AccessNode(1);
    const token = issue(node, {});
    const other = (token.startsWith("y") ? "b" : "y") + token.slice(1);
    assert.equal(redeem(node, other, 2), undefined);
    redeem(node, token, 2);
    const written =
      JSON.stringify(node.database.prepare("SELECT *, hex(hash) FROM access_invites").all()) +
      JSON.stringify(node.said);
    assert.ok(written.includes("invite redeemed") && !written.includes(token));
    assert.match(written, /"inviteId":/); // `invite` itself is blanked out of the log
  });

  test("is one of so many: open ones are capped, closed ones forgotten, oldest first or after a month", () => {
    const node = new AccessNode(1, { maxOpen: 3, maxClosed: 2 });
    for (let i = 0; i < 3; i++) node.invites.issue({ note: `open ${i}` });
    assert.throws(() => node.invites.issue({}), { code: "busy", hint: /p2prc invites/ });
    for (let i = 0; i < 4; i++) {
      node.invites.revoke(node.invites.list().find(({ state }) => state === "open")?.id ?? "");
      node.invites.issue({ note: `later ${i}` });
    }
    assert.ok(node.invites.list().length <= 3 + 2);
    assert.deepEqual(node.restarted(1).invites.list(), node.invites.list());
    node.clock.jumpWallTime(40 * DAY_MS);
    node.invites.issue({});
    assert.equal(node.invites.list().length, 1);
  });

  test("leaves nothing when the disk is full, and works once there is room", async (t) => {
    await using disk = await TinyDisk.mount(t);
    if (disk === undefined) return;
    const node = new AccessNode(1, { database: openDatabase(join(disk.path, "state.sqlite")) });
    const token = issue(node, {});
    await writeFile(join(disk.path, "filler"), new Uint8Array(disk.bytes)).catch(() => undefined);
    assert.throws(() => redeem(node, token, 2), { code: "disk-full" });
    assert.throws(() => node.invites.issue({}), { code: "disk-full" });
    assert.deepEqual([node.grants.roleOf(nodeCaller(2)), node.invites.list().length], ["stranger", 1]);
    await rm(join(disk.path, "filler"));
    assert.deepEqual(node.restarted(1).invites.list(), node.invites.list());
    assert.ok(redeem(node, token, 2));
    node.database.close();
  });
});

function issue(node: AccessNode, request: Parameters<AccessNode["invites"]["issue"]>[0]): string {
  return parseInvite(node.invites.issue(request).link).token;
}

function redeem(node: AccessNode, token: string, guest: number) {
  return node.invites.redeem(token, { id: fakeId(guest), name: `node-${guest}` });
}
