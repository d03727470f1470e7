import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { hangUp, ownSsh } from "./own-ssh.ts";

test("ssh of an own run has connections of its own, which bear its mark, before all that the home says", () => {
  assert.equal(
    ownSsh('/home/a "b"/ssh_config', { id: "20260101T000000-01020304", work: "/tmp/50% \\x" }),
    `Host *.p2prc
  HostName 127.0.0.1
  BatchMode yes
  LogLevel ERROR
  ControlMaster auto
  ControlPath "/tmp/50%% \\\\x/m-%p"
  ControlPersist 60
  SetEnv LC_P2PRC_RUN=20260101T000000-01020304
Match all
Include "/home/a \\"b\\"/ssh_config"
`,
  );
});

test("what is no connection any more does not keep a run from its end", async () => {
  const work = await mkdtemp(join(tmpdir(), "p2prc-hang-up-"));
  await writeFile(join(work, "m-2222"), "");
  await hangUp(work);
  await rm(work, { recursive: true });
});
