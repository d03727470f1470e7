import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { DaemonLab } from "../../../test/support/daemon-lab.ts";
import type { HeldImage, ImagesReply, PushReply } from "./contract.ts";

interface Line {
  readonly result?: PushReply;
  readonly error?: { readonly code: string };
}

describe("pushing an image from one node to another", { timeout: 60_000 }, () => {
  test("sends the files of a root once, lists them, and takes them away", async () => {
    await using lab = await PushLab.open();
    const source = { kind: "path", path: await lab.rootArchive("root.tar.gz") };
    const first = await lab.push({ source, name: "mine" });
    assert.equal(first.result?.name, "mine:latest", JSON.stringify(first));
    assert.ok((first.result?.sent ?? 0) > 0);
    const again = await lab.push({ source, name: "mine" });
    assert.deepEqual([again.result?.sent, again.result?.digest], [0, first.result?.digest]);
    const { images } = await lab.barn.ask<ImagesReply>("GET", "/v1/nodes/attic/images");
    assert.deepEqual(
      images.map(({ name }) => name),
      ["mine:latest"],
    );
    await lab.barn.ask<HeldImage>("DELETE", "/v1/nodes/attic/images?name=mine");
    assert.deepEqual((await lab.barn.ask<ImagesReply>("GET", "/v1/nodes/attic/images")).images, []);
    assert.deepEqual(await readdir(join(lab.barn.daemon.parts.home.path, "pushes")), [], "nothing is left here");
  });

  test("takes what docker save wrote under the name that is in it", async () => {
    await using lab = await PushLab.open();
    const pushed = await lab.push({ source: { kind: "path", path: await lab.savedArchive() } });
    assert.equal(pushed.result?.name, "box-image:1", JSON.stringify(pushed));
  });

  test("says what is wrong with what is no image, or is not there", async () => {
    await using lab = await PushLab.open();
    const path = join(lab.folder, "text.tar");
    await writeFile(path, "no archive at all".repeat(100));
    assert.equal((await lab.push({ source: { kind: "path", path }, name: "mine" })).error?.code, "bad-image");
    const missing = { kind: "path", path: join(lab.folder, "missing.tar") };
    assert.equal((await lab.push({ source: missing, name: "mine" })).error?.code, "not-found");
    const nameless = { kind: "path", path: await lab.rootArchive("root.tar") };
    assert.equal((await lab.push({ source: nameless })).error?.code, "bad-argument");
  });
});

class PushLab implements AsyncDisposable {
  readonly folder: string;
  readonly barn: Awaited<ReturnType<DaemonLab["start"]>>;
  readonly #lab: DaemonLab;

  static async open(): Promise<PushLab> {
    const lab = await DaemonLab.open();
    const [attic, barn] = [await lab.start("attic"), await lab.start("barn")];
    await barn.join(attic);
    return new PushLab(lab, barn, await mkdtemp(join(tmpdir(), "p2prc-push-")));
  }

  private constructor(lab: DaemonLab, barn: PushLab["barn"], folder: string) {
    this.#lab = lab;
    this.barn = barn;
    this.folder = folder;
  }

  push(body: object): Promise<Line> {
    return this.barn.ask<Line>("POST", "/v1/nodes/attic/images", body);
  }

  async rootArchive(name: string): Promise<string> {
    const root = join(this.folder, "root");
    await mkdir(join(root, "etc"), { recursive: true });
    await writeFile(join(root, "etc", "motd"), "hello".repeat(1_000));
    execFileSync("tar", [name.endsWith("gz") ? "-czf" : "-cf", join(this.folder, name), "-C", root, "."]);
    return join(this.folder, name);
  }

  /** As Docker before 25 writes it. */
  async savedArchive(): Promise<string> {
    const layer = "a".repeat(64);
    const config = "b".repeat(64);
    const saved = join(this.folder, "saved");
    await mkdir(join(saved, layer), { recursive: true });
    execFileSync("cp", [await this.rootArchive("root.tar"), join(saved, layer, "layer.tar")]);
    const sum = execFileSync("sha256sum", [join(saved, layer, "layer.tar")], { encoding: "utf8" }).slice(0, 64);
    const architecture = process.arch === "x64" ? "amd64" : process.arch;
    const rootfs = { type: "layers", diff_ids: [`sha256:${sum}`] };
    await writeFile(join(saved, `${config}.json`), JSON.stringify({ architecture, os: "linux", rootfs }));
    const list = [{ Config: `${config}.json`, RepoTags: ["box-image:1"], Layers: [`${layer}/layer.tar`] }];
    await writeFile(join(saved, "manifest.json"), JSON.stringify(list));
    const path = join(this.folder, "saved.tar");
    execFileSync("tar", ["-cf", path, "-C", saved, `${config}.json`, layer, "manifest.json"]);
    return path;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#lab[Symbol.asyncDispose]();
    await rm(this.folder, { recursive: true, force: true });
  }
}
