import assert from "node:assert/strict";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { describe, test } from "node:test";
import { gzipSync } from "node:zlib";
import { ann, bob, SandboxWorld } from "../../../test/support/sandbox-world.ts";
import { systemClock } from "../../base/index.ts";
import { defaultGrant, type NodeId } from "../../core/index.ts";
import { digestOf, machineArchitecture } from "./manifest.ts";

const GIB = 1024 ** 3;
const never = new AbortController().signal;

describe("images that guests push", () => {
  test("miss what the guest has not sent, and nothing once it is there", async () => {
    await using world = await ImageWorld.open();
    const { manifest, parts } = imageOf(["one", "two"]);
    const digests = [...parts.keys()];
    assert.deepEqual(
      (await world.missing(ann, digests)).map(({ digest }) => digest),
      digests,
    );
    await world.push(ann, "mine", { manifest, parts });
    assert.deepEqual(await world.missing(ann, digests), []);
    assert.deepEqual(
      world.images.of(ann).map(({ name, layers, digest }) => ({ name, layers, digest })),
      [{ name: "mine:latest", layers: 2, digest: digestOf(Buffer.from(manifest)) }],
    );
  });

  test("are another's neither to see, nor to use, nor to have by their digests", async () => {
    await using world = await ImageWorld.open();
    const { manifest, parts } = imageOf(["secret"]);
    await world.push(ann, "mine", { manifest, parts });
    assert.deepEqual(world.images.of(bob), []);
    assert.equal(world.images.find(bob, "mine"), undefined);
    assert.equal((await world.missing(bob, [...parts.keys()])).length, 2);
    await assert.rejects(world.admit(bob, "mine", manifest), { code: "not-found" });
    await assert.rejects(world.images.remove(bob, "mine", never), { code: "not-found" });
    await world.push(bob, "theirs", { manifest, parts });
    assert.equal((await world.blobs()).length, 3, "what is the same lies there once");
    await world.images.remove(ann, "mine", never);
    assert.equal(world.images.find(bob, "theirs")?.digest, digestOf(Buffer.from(manifest)));
    assert.equal((await world.blobs()).length, 3);
    await world.images.remove(bob, "theirs", never);
    assert.deepEqual(await world.blobs(), []);
  });

  test("go on where the link broke, and are whole only then", async () => {
    await using world = await ImageWorld.open();
    const content = Buffer.from("x".repeat(10_000));
    const digest = digestOf(content);
    await assert.rejects(world.put(ann, digest, { content: content.subarray(0, 4_000), size: 10_000 }), {
      code: "link-lost",
    });
    assert.deepEqual(await world.missing(ann, [digest]), [{ digest, have: 4_000 }]);
    await assert.rejects(world.put(ann, digest, { content, size: 10_000 }), { code: "conflict" });
    await world.put(ann, digest, { content: content.subarray(4_000), size: 10_000, offset: 4_000 });
    assert.deepEqual(await world.missing(ann, [digest]), []);
  });

  test("are taken over by the next try from one whose link hangs", async () => {
    await using world = await ImageWorld.open();
    const content = Buffer.from("y".repeat(100));
    const digest = digestOf(content);
    const hanging = new Readable({ read: () => undefined });
    hanging.push(content.subarray(0, 40));
    const first = world.images.put(world.guest(ann), { digest, size: 100, offset: 0, body: hanging, note: () => {} });
    while ((await world.missing(ann, [digest]))[0]?.have !== 40) await systemClock.sleep(2, never);
    const lost = assert.rejects(first, { code: "link-lost" });
    await world.put(ann, digest, { content: content.subarray(40), size: 100, offset: 40 });
    await lost;
    assert.deepEqual(await world.missing(ann, [digest]), []);
  });

  test("are refused where a part is not what its digest says, or longer than was said", async () => {
    await using world = await ImageWorld.open();
    const digest = digestOf(Buffer.from("right"));
    await assert.rejects(world.put(ann, digest, { content: Buffer.from("wrong"), size: 5 }), { code: "bad-image" });
    await assert.rejects(world.put(ann, digest, { content: Buffer.from("rightly"), size: 5 }), { code: "too-large" });
    assert.deepEqual(await world.missing(ann, [digest]), [{ digest, have: 0 }]);
    assert.equal(world.images.bytes(ann), 0);
  });

  test("count as the guest's disk, and are refused by how much they are too much", async () => {
    await using world = await ImageWorld.open();
    world.grants.set(ann, { ...defaultGrant, diskBytes: 10 * GIB });
    const digest = digestOf(Buffer.from("big"));
    await world.create(ann, { diskBytes: 4 * GIB });
    await assert.rejects(world.put(ann, digest, { content: Buffer.from("big"), size: 7 * GIB }), {
      code: "not-allowed",
      message: /11GiB disk in all, allowed are 10GiB \(1GiB too much\)/,
    });
    await assert.rejects(world.put(ann, digest, { content: Buffer.from("big"), size: 5 * GIB }), { code: "link-lost" });
    await assert.rejects(world.create(ann, { diskBytes: 2 * GIB }), { code: "not-allowed" }); // what is on its way counts
  });

  test("are refused where they are larger than any may be, or there are too many", async () => {
    await using world = await ImageWorld.open();
    const digest = digestOf(Buffer.from("big"));
    await assert.rejects(world.put(ann, digest, { content: Buffer.from("big"), size: 9 * GIB }), { code: "too-large" });
    const image = imageOf(["one"]);
    for (let count = 0; count < 64; count++) await world.push(ann, `mine:${count}`, image);
    await assert.rejects(world.admit(ann, "mine:64", image.manifest), { code: "busy" });
    await world.push(ann, "mine:63", image); // anew
  });

  test("are refused where their list is bad", async () => {
    await using world = await ImageWorld.open();
    const good = imageOf(["one"]);
    await world.push(ann, "mine", good);
    const { config, layers } = JSON.parse(good.manifest) as { config: object; layers: object[] };
    const list = (change: object) => JSON.stringify({ schemaVersion: 2, config, layers, ...change });
    for (const text of ["", "{", "[]", list({ schemaVersion: 1 }), list({ config: 1 }), list({ mediaType: "x/y" })])
      await assert.rejects(world.admit(ann, "mine", text), { code: "bad-image" }, text);
    const many = list({ layers: Array.from({ length: 128 }, () => layers[0]) });
    await assert.rejects(world.admit(ann, "mine", many), { code: "bad-image" });
    const resized = list({ layers: [{ ...layers[0], size: 1 }] });
    await assert.rejects(world.admit(ann, "mine", resized), { code: "bad-image" });
    const elsewhere = list({ layers: [{ ...layers[0], urls: ["http://169.254.169.254/"] }] });
    await assert.rejects(world.admit(ann, "mine", elsewhere), { code: "bad-image" });
    await assert.rejects(world.admit(ann, `mine@${digestOf(Buffer.from(""))}`, good.manifest), {
      code: "bad-argument",
    });
  });

  test("are refused where the configuration tells of another machine, or of other layers", async () => {
    await using world = await ImageWorld.open();
    await assert.rejects(world.push(ann, "mine", imageOf(["one"], { architecture: "s390x" })), {
      code: "bad-image",
      message: /linux\/s390x/,
    });
    await assert.rejects(world.push(ann, "mine", imageOf(["one"], { diffIds: [] })), { code: "bad-image" });
    const other = imageOf(["one"], { diffIds: [digestOf(Buffer.from("two"))] });
    await assert.rejects(world.push(ann, "mine", other), { code: "bad-image", message: /configuration says/ });
    assert.deepEqual(world.images.of(ann), []);
  });

  test("are refused where they unpack to more than the guest may have", async () => {
    await using world = await ImageWorld.open();
    world.grants.set(ann, { ...defaultGrant, diskBytes: 1024 ** 2 });
    const bomb = Buffer.alloc(64 * 1024 ** 2);
    await assert.rejects(world.push(ann, "mine", imageOf([bomb])), { code: "too-large", message: /unpacked/ });
  });

  test("go by the owner's list as pushed ones, whatever they are called", async () => {
    await using world = await ImageWorld.open();
    world.sandboxes.limits = { images: ["debian:*"] };
    const image = imageOf(["one"]);
    await assert.rejects(world.push(ann, "debian:bookworm", image), { code: "not-allowed" });
    world.sandboxes.limits = { images: ["debian:*", "pushed/**"] };
    await world.push(ann, "debian:bookworm", image);
    world.sandboxes.limits = { images: ["debian:*"] };
    await assert.rejects(world.create(ann, { image: "debian:bookworm" }), { code: "not-allowed" });
    world.grants.set(bob, { ...defaultGrant, kind: "own" });
    await world.push(bob, "anything", image);
  });

  test("are what a sandbox of that guest is made of, and of nobody else", async () => {
    await using world = await ImageWorld.open();
    const { manifest, parts } = imageOf(["one"]);
    await world.push(ann, "mine", { manifest, parts });
    const lease = await world.create(ann, { image: "mine" });
    const { pushed } = world.machine.get(lease.id)?.spec ?? {};
    assert.deepEqual(pushed, {
      digest: digestOf(Buffer.from(manifest)),
      config: [...parts.keys()][0],
      folder: world.folder,
    });
    const theirs = await world.create(bob, { image: "mine" });
    assert.equal(world.machine.get(theirs.id)?.spec.pushed, undefined);
  });

  test("leave the runtime once no sandbox uses them and nobody names them", async () => {
    await using world = await ImageWorld.open();
    world.run();
    const image = imageOf(["one"]);
    await world.push(ann, "mine", image);
    const { id } = await world.create(ann, { image: "mine" });
    await world.images.remove(ann, "mine", never);
    assert.deepEqual(world.forgotten, []);
    await world.sandboxes.remove(id, "test", never);
    await world.images.sweep(never);
    assert.deepEqual(world.forgotten, [digestOf(Buffer.from(image.manifest))]);
    await world.images.sweep(never);
    assert.equal(world.forgotten.length, 1);
  });

  test("go with the grant, and parts that no image names after a day", async () => {
    await using world = await ImageWorld.open();
    await world.push(ann, "mine", imageOf(["one"]));
    const loose = Buffer.from("loose");
    await world.put(bob, digestOf(loose), { content: loose, size: 5 });
    world.clock.jumpWallTime(23 * 3_600_000);
    await world.images.sweep(never);
    assert.equal((await world.blobs()).length, 4);
    world.clock.jumpWallTime(2 * 3_600_000);
    await world.images.sweep(never);
    assert.equal((await world.blobs()).length, 3);
    world.grants.delete(ann);
    await world.images.sweep(never);
    assert.deepEqual(await world.blobs(), []);
  });
});

interface MadeImage {
  readonly manifest: string;
  readonly parts: ReadonlyMap<string, Buffer>;
}

function imageOf(
  contents: readonly (string | Buffer)[],
  { architecture = machineArchitecture(), diffIds }: { architecture?: string; diffIds?: readonly string[] } = {},
): MadeImage {
  const plain = contents.map((content) => Buffer.from(content));
  const layers = plain.map((content) => gzipSync(content));
  const config = Buffer.from(
    JSON.stringify({
      architecture,
      os: "linux",
      rootfs: { type: "layers", diff_ids: diffIds ?? plain.map(digestOf) },
    }),
  );
  const of = (content: Buffer) => ({ digest: digestOf(content), size: content.length });
  const manifest = JSON.stringify({ schemaVersion: 2, config: of(config), layers: layers.map(of) });
  return { manifest, parts: new Map([config, ...layers].map((content) => [digestOf(content), content])) };
}

class ImageWorld extends SandboxWorld {
  readonly #below: string;
  readonly forgotten: string[];

  static async open(): Promise<ImageWorld> {
    return new ImageWorld(await mkdtemp(join(tmpdir(), "p2prc-images-")), []);
  }

  private constructor(below: string, forgotten: string[]) {
    super({
      imageFolder: below,
      wrap: (runtime) =>
        Object.assign(runtime, { forgetImage: async ({ digest }: { digest: string }) => void forgotten.push(digest) }),
    });
    this.#below = below;
    this.forgotten = forgotten;
  }

  get images() {
    return this.leases.images;
  }

  get folder(): string {
    return join(this.#below, ".pushed");
  }

  async blobs(): Promise<readonly string[]> {
    return await readdir(join(this.folder, "blobs", "sha256"));
  }

  async missing(guest: NodeId, digests: readonly string[]) {
    return (await this.images.missing(guest, digests)).missing;
  }

  async put(
    guest: NodeId,
    digest: string,
    { content, size, offset = 0 }: { content: Buffer; size: number; offset?: number },
  ): Promise<void> {
    const body = Readable.from([content]);
    await this.images.put(this.guest(guest), { digest, size, offset, body, note: () => undefined });
  }

  async admit(guest: NodeId, name: string, manifest: string) {
    return await this.images.admit(this.guest(guest), { name, manifest, note: () => undefined }, never);
  }

  async push(guest: NodeId, name: string, { manifest, parts }: MadeImage): Promise<void> {
    for (const [digest, content] of parts) await this.put(guest, digest, { content, size: content.length });
    await this.admit(guest, name, manifest);
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    await super[Symbol.asyncDispose]();
    await rm(this.#below, { recursive: true, force: true });
  }
}
