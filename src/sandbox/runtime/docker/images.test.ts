import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { type FakeAnswer, FakeEngine, saysJson, saysLines } from "../../../../test/support/fake-engine.ts";
import type { ImageProgress } from "../runtime.ts";
import { fullReference, Images } from "./images.ts";

const signal = new AbortController().signal;
const ignore = () => undefined;
const found = { Id: "sha256:1", Config: { Volumes: { "/data": {} }, Env: ["LANG=C.UTF-8"] } };

describe("Images", () => {
  test("asks no registry for an image that is here", async () => {
    await using fake = await FakeEngine.open([saysJson("/images/debian:bookworm/json", found)]);
    const image = await new Images(fake.engine).ensure("debian:bookworm", ignore, signal);
    assert.deepEqual(image, { id: "sha256:1", volumes: ["/data"], env: ["LANG=C.UTF-8"], digests: [] });
    assert.deepEqual(fake.asked, ["GET /images/debian:bookworm/json"]);
  });

  test("pulls one tag, never all of them, and tells how far it is", async () => {
    await using fake = await FakeEngine.open([pulledOnce(), saysLines("/images/create", LINES)]);
    const told: ImageProgress[] = [];
    await new Images(fake.engine).ensure("debian", (progress) => told.push(progress), signal);
    assert.ok(fake.asked.includes("POST /images/create?fromImage=debian%3Alatest"), fake.asked.join());
    assert.deepEqual(told.at(-1), { image: "debian", layers: { done: 2, all: 2 }, bytes: { done: 100, all: 100 } });
  });

  test("says that there is no such image", async () => {
    const error = "pull access denied for debain, repository does not exist or may require 'docker login'";
    await refuses([saysJson("/images/create", { message: error }, 404)], "not-found");
    await refuses([saysLines("/images/create", [{ errorDetail: { message: "manifest unknown" } }])], "not-found");
  });

  test("says that the name is none", async () => {
    await refuses([saysJson("/images/create", { message: "invalid reference format" }, 400)], "bad-image");
  });

  test("says that the disk is full", async () => {
    const message = "write /var/lib/docker/tmp/x: no space left on device";
    await refuses([saysLines("/images/create", [...LINES, { errorDetail: { message } }])], "disk-full");
  });

  test("says that a pull broke off half-way", async () => {
    await refuses([saysLines("/images/create", [...LINES.slice(0, 2), undefined])], "runtime-failed");
    await refuses([saysLines("/images/create", [{ error: "unexpected EOF" }])], "runtime-failed");
  });

  test("asks Podman in its own API where it wants TLS of us", async () => {
    const folder = await mkdtemp(join(tmpdir(), "p2prc-pushed-"));
    await mkdir(join(folder, "blobs/sha256"), { recursive: true });
    const [config, digest] = ["sha256:c0ffee", "sha256:beef"];
    await writeFile(join(folder, "blobs/sha256/beef"), JSON.stringify({ config: { digest: config }, layers: [] }));
    const error = "pinging container registry 127.0.0.1:1: http: server gave HTTP response to HTTPS client";
    await using fake = await FakeEngine.open([
      pulledOnce(`/images/${config}/json`),
      saysLines("/images/create", [{ error }]),
      saysLines("/v4.0.0/libpod/images/pull", [{ stream: "Copying blob" }, { id: "c0ffee" }]),
    ]);
    const image = await new Images(fake.engine).ensurePushed({ config, digest, folder }, ignore, signal);
    assert.equal(image.id, "sha256:1");
    assert.match(
      fake.asked.join(" "),
      /POST \/v4\.0\.0\/libpod\/images\/pull\?reference=127\.0\.0\.1\S+&tlsVerify=false/u,
    );
    await rm(folder, { recursive: true });
  });

  test("lets go of its own name for a pushed image, and of no other", async () => {
    const ours = `127.0.0.1:40001/p2prc/${"0a".repeat(16)}@sha256:beef`;
    const names = [ours, "127.0.0.1:5000/mine@sha256:beef", "debian@sha256:beef"];
    await using fake = await FakeEngine.open([
      saysJson("/images/sha256:c0ffee/json", { ...found, RepoDigests: names }),
      saysJson(`/images/${ours}`, []),
    ]);
    await new Images(fake.engine).forget({ config: "sha256:c0ffee", digest: "sha256:beef", folder: "" }, signal);
    assert.deepEqual(
      fake.asked.filter((asked) => asked.startsWith("DELETE")),
      [`DELETE /images/${ours}`],
    );
  });

  test("gives up an image that is larger than it may be", async () => {
    await using fake = await FakeEngine.open([saysLines("/images/create", LINES)]);
    await assert.rejects(new Images(fake.engine, 99).ensure("debian", ignore, signal), { code: "too-large" });
  });

  test("stops when it is given up", async () => {
    await using fake = await FakeEngine.open([
      pulledOnce(),
      (request) => request.url?.startsWith("/images/create") === true,
    ]);
    const giveUp = new AbortController();
    const pulling = new Images(fake.engine).ensure("debian", ignore, giveUp.signal);
    while (fake.asked.length < 2) await new Promise((resolve) => setImmediate(resolve));
    giveUp.abort(new Error("enough"));
    await assert.rejects(pulling, { message: "enough" });
  });

  test("knows what is a tag, a port and a digest", () => {
    assert.equal(fullReference("debian"), "debian:latest");
    assert.equal(fullReference("localhost:5000/debian"), "localhost:5000/debian:latest");
    assert.equal(fullReference("ghcr.io/a/b:1"), "ghcr.io/a/b:1");
    assert.equal(fullReference(`debian@sha256:${"0".repeat(64)}`), `debian@sha256:${"0".repeat(64)}`);
  });
});

const LINES = [
  { status: "Pulling from library/debian", id: "latest" },
  { status: "Pulling fs layer", id: "a" },
  { status: "Already exists", id: "b" },
  { status: "Downloading", id: "a", progressDetail: { current: 40, total: 100 } },
  { status: "Download complete", id: "a" },
  { status: "Pull complete", id: "a" },
  { status: "Digest: sha256:1" },
];

/** Not there when it is first asked for. */
function pulledOnce(path = "/images/debian:latest/json"): FakeAnswer {
  let asked = 0;
  return (request, response) => {
    if (request.url !== path || asked++ === 0) return false;
    response.end(JSON.stringify(found));
    return true;
  };
}

async function refuses(answers: readonly FakeAnswer[], code: string): Promise<void> {
  await using fake = await FakeEngine.open(answers);
  await assert.rejects(new Images(fake.engine).ensure("debian", ignore, signal), { code });
}
