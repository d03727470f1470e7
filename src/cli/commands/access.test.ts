import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { CliLab } from "../../../test/support/cli-lab.ts";
import { someId } from "../../../test/support/node-row.ts";
import { Failure } from "../../core/light.ts";

const grant = {
  kind: "guest",
  sandboxes: 2,
  cpus: 2,
  memoryBytes: 2 * 2 ** 30,
  diskBytes: 20 * 2 ** 30,
  gpus: 0,
  maxLifetimeMs: 8 * 3_600_000,
  network: "internet",
  ports: 8,
  publish: false,
  relay: true,
} as const;
const row = {
  id: "k3f9",
  state: "open",
  grant,
  note: "",
  uses: 1,
  issuedAt: 0,
  expiresAt: Date.UTC(2026, 0, 2),
  redeemedBy: [],
};
const link = "p2prc://yyyy/zzzz?a=192.0.2.7";
const lends = { "GET /v1/status": { value: { lends: true } } };

describe("p2prc invite", () => {
  test("prints the link alone on stdout", async () => {
    const lab = new CliLab({ routes: { ...lends, "POST /v1/invites": { value: { link, invite: row } } } });
    const { exit, out, err } = await lab.p2prc("invite");
    assert.deepEqual([exit, out], [0, [link]]);
    assert.match(err.join("\n"), /2 sandboxes, 2 cores, 2GiB memory, 20GiB disk, 8h each, filtered internet/);
    assert.match(err.join("\n"), /good until 2026-01-02 \d\d:00, once: on the other machine, type `p2prc join`/);
  });

  test("sends what was typed, and only that", async () => {
    const lab = new CliLab({ routes: { ...lends, "POST /v1/invites": { value: { link, invite: row } } } });
    await lab.p2prc(
      "invite",
      "--uses",
      "3",
      "--expires",
      "2h",
      "--memory",
      "8G",
      "--gpu",
      "1",
      "--own",
      "--note",
      "ada",
    );
    assert.deepEqual(lab.asked[0]?.body, {
      grant: { kind: "own", memoryBytes: 8 * 2 ** 30, gpus: 1 },
      uses: 3,
      expiresMs: 7_200_000,
      note: "ada",
    });
    const plain = new CliLab({ routes: { ...lends, "POST /v1/invites": { value: { link, invite: row } } } });
    await plain.p2prc("invite");
    assert.deepEqual(plain.asked[0]?.body, {});
  });

  test("warns when the machine does not lend", async () => {
    const lab = new CliLab({
      routes: { "GET /v1/status": { value: { lends: false } }, "POST /v1/invites": { value: { link, invite: row } } },
    });
    assert.match((await lab.p2prc("invite")).err.join("\n"), /does not lend now/);
  });

  test("warns directly under a link that holds no address, and in the JSON", async () => {
    const bare = "p2prc://yyyy/zzzz";
    const here = { lends: true, listening: ["127.0.0.1:8088"] };
    const routes = { "GET /v1/status": { value: here }, "POST /v1/invites": { value: { link: bare, invite: row } } };
    const { err } = await new CliLab({ routes }).p2prc("invite");
    assert.match(err[0] ?? "", /^warning: nobody can use this link, .* on 127\.0\.0\.1:8088 alone/);
    const { out } = await new CliLab({ routes }).p2prc("invite", "--json");
    const { warnings, ...rest } = JSON.parse(out[0] ?? "") as { warnings: string[] };
    assert.deepEqual(rest, { link: bare, invite: row });
    assert.deepEqual(
      warnings.map((warning) => `warning: ${warning}`),
      err.slice(0, 1),
    );
  });

  test("warns of nothing in the JSON where all is well", async () => {
    const routes = {
      "GET /v1/status": { value: { lends: true, listening: ["[::]:8088"] } },
      "POST /v1/invites": { value: { link, invite: row } },
    };
    const { out } = await new CliLab({ routes }).p2prc("invite", "--json");
    assert.deepEqual(JSON.parse(out[0] ?? ""), { link, invite: row, warnings: [] });
  });

  test("refuses amounts that are none, before it asks anybody", async () => {
    for (const words of [
      ["--uses", "0"],
      ["--uses", "101"],
      ["--expires", "soon"],
      ["--memory", "much"],
      ["--network", "lan"],
    ]) {
      const lab = new CliLab();
      assert.equal((await lab.p2prc("invite", ...words)).exit, 2, words.join(" "));
      assert.deepEqual(lab.opened, []);
    }
  });
});

describe("p2prc invites", () => {
  const used = { ...row, id: "used", state: "used", redeemedBy: [{ id: someId, name: "barn", at: 0 }] };
  const routes = {
    "GET /v1/invites": { value: { invites: [used, row] } },
    "DELETE /v1/invites/used": { value: { ...used, state: "revoked" } },
  };

  test("lists the open ones, and all with --all", async () => {
    assert.equal((await new CliLab({ routes }).p2prc("invites")).out.length, 2);
    const { out } = await new CliLab({ routes }).p2prc("invites", "--all");
    assert.match(out[1] ?? "", /^used {2}used {4}1\/1 .* barn {2}2 sandboxes/);
  });

  test("takes one back, and says that its grants stay", async () => {
    const { out, err } = await new CliLab({ routes }).p2prc("invites", "--remove", "used");
    assert.deepEqual(out, ["the invite used cannot be redeemed any more"]);
    assert.match(err[0] ?? "", /p2prc revoke/);
  });
});

describe("p2prc join", () => {
  test("says whose friend one is, and what for", async () => {
    const lab = new CliLab({
      routes: { "POST /v1/join": { value: { id: someId, name: "attic", relation: "friend", grant } } },
    });
    const { out, err } = await lab.p2prc("join", link, "--name", "attic");
    assert.deepEqual(lab.asked[0]?.body, { invite: link, name: "attic" });
    assert.deepEqual(out, ["attic (yyyy…yyyy) is a friend now"]);
    assert.match(err[0] ?? "", /^there I may use: 2 sandboxes/);
  });

  test("tells why an invite is refused, with the exit code of its kind", async () => {
    const refused = new Failure("invite-refused", "the invite has expired", { hint: "ask for a new one" });
    const { exit, out, err } = await new CliLab({ routes: { "POST /v1/join": refused } }).p2prc("join", link);
    assert.deepEqual([exit, out, err], [6, [], ["p2prc: the invite has expired", "hint: ask for a new one"]]);
  });
});

describe("p2prc grant", () => {
  const routes = { "PATCH /v1/grants/barn": { value: { id: someId, name: "barn", grant, ended: false, since: 0 } } };

  test("changes what was named", async () => {
    const lab = new CliLab({ routes });
    const { out } = await lab.p2prc("grant", "barn", "--cpus", "4", "--no-publish");
    assert.deepEqual(lab.asked[0]?.body, { cpus: 4, publish: false });
    assert.match(out[0] ?? "", /^barn may use: .*, until it is revoked$/);
  });

  test("takes the end away with --until revoked", async () => {
    const lab = new CliLab({ routes });
    await lab.p2prc("grant", "barn", "--until", "revoked");
    assert.deepEqual(lab.asked[0]?.body, { until: null });
  });

  test("wants to know what to change", async () => {
    assert.equal((await new CliLab({ routes }).p2prc("grant", "barn")).exit, 2);
  });
});

test("p2prc revoke tells of an invite that is still open", async () => {
  const routes = { "DELETE /v1/grants/barn": { value: { id: someId, name: "barn", openInvite: "k3f9" } } };
  const { out, err } = await new CliLab({ routes }).p2prc("revoke", "barn");
  assert.deepEqual(out, ["barn (yyyy…yyyy) may do nothing here any more"]);
  assert.match(err[0] ?? "", /p2prc invites --remove k3f9/);
});

test("p2prc grants lists who may use what", async () => {
  const routes = {
    "GET /v1/grants": { value: { grants: [{ id: someId, name: "barn", grant, ended: false, since: 0 }] } },
  };
  assert.match(
    (await new CliLab({ routes }).p2prc("grants")).out[1] ?? "",
    /^barn {3}yyyy…yyyy {2}no end {2}2 sandboxes/,
  );
  const nobody = await new CliLab({ routes: { "GET /v1/grants": { value: { grants: [] } } } }).p2prc("grants");
  assert.deepEqual([nobody.out, nobody.exit], [[], 0]);
});
