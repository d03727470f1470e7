import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { describe, test } from "node:test";
import { Type } from "typebox";
import { GrantsReply, InvitesReply, IssueReply, JoinReply, RevokeReply } from "../../src/access/index.ts";
import { commands } from "../../src/cli/commands.ts";
import { failures } from "../../src/core/light.ts";
import { LendReply, Status, Why } from "../../src/daemon/contract.ts";
import { PingResult, SpeedResult } from "../../src/measure/index.ts";
import { ReachReply } from "../../src/nat/index.ts";
import { Box, DoctorReply, LendLimits, PanicReply, RemoveBoxReply, UsageReply } from "../../src/sandbox/index.ts";
import { NodesReply, RemoveReply, UpdateResult } from "../../src/table/index.ts";
import { cliDocs } from "../support/cli-docs.ts";

describe("docs/cli.md", () => {
  test("is what `node tools/cli-docs.ts` writes", async () => {
    const written = await readFile(new URL("../../docs/cli.md", import.meta.url), "utf8");
    assert.equal(written, await cliDocs(), "run `node tools/cli-docs.ts`");
  });

  test("has each exit code of the table of failures", async () => {
    const text = await cliDocs();
    for (const [code, { exit }] of Object.entries(failures))
      assert.match(text, new RegExp(`\\n\\| ${exit} \\|.*\`${code}\``), code);
  });

  // Where a command prints an answer as it is, the names in its schema are those that are promised.
  const printed = {
    ls: NodesReply,
    ping: PingResult,
    speed: SpeedResult,
    why: Why,
    forget: RemoveReply,
    status: Status,
    lend: Type.Object({ ...LendReply.properties, limits: LendLimits }),
    touch: Box,
    extend: Box,
    rm: RemoveBoxReply,
    usage: UsageReply,
    panic: PanicReply,
    doctor: Type.Object({ ...DoctorReply.properties, reach: ReachReply }),
    invite: Type.Object({ ...IssueReply.properties, warnings: Type.Array(Type.String()) }),
    invites: InvitesReply,
    join: JoinReply,
    grants: GrantsReply,
    revoke: RevokeReply,
    update: Type.Object({ ...UpdateResult.properties, nodes: Type.Array(Type.Any()) }),
  } as const;

  for (const [name, schema] of Object.entries(printed)) {
    test(`names every field that p2prc ${name} --json prints, and no other`, async () => {
      const command = await commands.find((row) => row.name === name)?.load();
      const documented = Object.keys(command?.json ?? {});
      const top = documented.filter((field) => !field.includes("[") && !field.includes("."));
      assert.deepEqual(top.sort(), Object.keys(schema.properties).sort());
      for (const [list, { items }] of Object.entries(
        schema.properties as Record<string, { items?: { properties?: object } }>,
      )) {
        const inner = documented
          .filter((field) => field.startsWith(`${list}[].`))
          .map((field) => field.slice(list.length + 3));
        if (inner.length === 0) continue;
        assert.deepEqual(
          inner.filter((field) => !field.includes(".")).sort(),
          Object.keys(items?.properties ?? {}).sort(),
        );
      }
    });
  }
});
