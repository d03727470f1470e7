import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { DaemonLab, type LabDaemon } from "../../test/support/daemon-lab.ts";
import { formatInvite, parseInvite, shortNodeId } from "../core/index.ts";

interface Told {
  readonly error: { readonly code: string; readonly message: string; readonly hint: string };
}

describe("a join that reaches nobody", { timeout: 30_000 }, () => {
  test("names the issuer and the address, and `why` knows the attempts by the id in its hint", async () => {
    await using machines = await DaemonLab.open();
    const attic = await machines.start("attic");
    const barn = await machines.start("barn");
    const { id, address } = attic;
    const link = await invited(attic);
    await machines.stop("attic");

    const { body } = await barn.statusOf("POST", "/v1/join", { invite: link });
    const { code, message, hint } = (body as Told).error;
    assert.equal(code, "unreachable");
    assert.ok(
      message.startsWith(`${shortNodeId(id)}, which issued the invite, cannot be reached at ${address}: `),
      message,
    );
    assert.doesNotMatch(hint, /NODE/);
    const { attempts } = await barn.ask<{ attempts: { address: string }[] }>("GET", `/v1/nodes/${id}/why`);
    assert.deepEqual([...new Set(attempts.map((attempt) => attempt.address))], [address]);
  });

  test("says so where the link has no address", async () => {
    await using machines = await DaemonLab.open();
    const attic = await machines.start("attic");
    const barn = await machines.start("barn");
    const bare = formatInvite({ ...parseInvite(await invited(attic)), endpoints: [], via: [] });
    const { body } = await barn.statusOf("POST", "/v1/join", { invite: bare });
    assert.match((body as Told).error.hint, /^the link holds no address/);
  });

  test("leaves no attempts of a node that was never tried", async () => {
    await using machines = await DaemonLab.open();
    const { id } = await machines.start("attic");
    const barn = await machines.start("barn");
    assert.equal((await barn.statusOf("GET", `/v1/nodes/${id}/why`)).status, 404);
  });
});

async function invited(issuer: LabDaemon): Promise<string> {
  return (await issuer.ask<{ link: string }>("POST", "/v1/invites", {})).link;
}
