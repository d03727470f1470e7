import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { seededRandom } from "../base/index.ts";
import { type Home, openHome } from "../store/index.ts";
import { openIdentity } from "./open-identity.ts";

describe("the identity of a home", () => {
  test("is the same at each start, with the certificate that was kept", async () => {
    await using lab = await Lab.open();
    const first = await openIdentity(lab.home, seededRandom(1));
    const second = await openIdentity(lab.home, seededRandom(2));
    assert.deepEqual([second.id, second.certificate], [first.id, first.certificate]);
    assert.equal(await readFile(lab.home.certificate, "utf8"), first.certificate);
  });

  test("never shows another's certificate, nor a damaged one", async () => {
    await using lab = await Lab.open();
    await using other = await Lab.open();
    const { certificate } = await openIdentity(lab.home, seededRandom(1));
    const foreign = await openIdentity(other.home, seededRandom(2));
    for (const kept of [foreign.certificate, "", certificate.slice(0, 100)]) {
      await writeFile(lab.home.certificate, kept);
      assert.equal((await openIdentity(lab.home, seededRandom(3))).certificate, certificate);
    }
  });
});

class Lab implements AsyncDisposable {
  readonly home: Home;

  static async open(): Promise<Lab> {
    const folder = await mkdtemp(join(tmpdir(), "p2prc-identity-"));
    const { platform } = process;
    const uid = process.getuid?.();
    return new Lab(await openHome(folder, { platform, uid, runtimeFolder: undefined, tempFolder: folder }));
  }

  private constructor(home: Home) {
    this.home = home;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return rm(this.home.path, { recursive: true, force: true });
  }
}
