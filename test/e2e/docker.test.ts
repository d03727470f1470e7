/** The Docker runtime against a real engine, stock and with user namespaces. */

import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { runtimeContract, type RuntimeWorld, sandboxSpec } from "../contract/runtime.ts";
import { DockerLab, whyNoDocker } from "../support/docker-lab.ts";
import type { ImageProgress, SandboxSpec } from "../../src/sandbox/runtime/runtime.ts";

const skip = whyNoDocker();
const signal = new AbortController().signal;

for (const { name, userns, spec } of [
  { name: "Docker", userns: false, spec: { profile: "strict" } },
  { name: "Docker with user namespaces", userns: true, spec: { network: "internet" } },
] as const) {
  let lab: Promise<DockerLab> | undefined;
  const open = () => (lab ??= DockerLab.open({ userns }));
  after(async () => await (await lab)?.[Symbol.asyncDispose]());
  runtimeContract(name, async () => await world(await open(), spec), { skip });
}

describe("the default image", { skip, timeout: 60_000 }, () => {
  test("is built from its Dockerfile when it is first wanted, and not again", async () => {
    await using lab = await DockerLab.open();
    const dockerfile = join(lab.folder, "Dockerfile");
    await writeFile(dockerfile, "FROM p2prc-test:tiny\nENV BUILT=here\n");
    const runtime = await lab.runtime({ defaultImage: { name: "p2prc/default:test", dockerfile } });
    const told: ImageProgress[] = [];
    for (const spec of [sandboxSpec({ profile: "strict" }), sandboxSpec({ profile: "strict" })]) {
      await runtime.create(spec, (progress) => told.push(progress), signal);
      await runtime.remove(spec.id, signal);
    }
    assert.deepEqual(
      told.map(({ image, layers }) => [image, layers.done, layers.all]),
      [
        ["p2prc/default:test", 0, 2],
        ["p2prc/default:test", 1, 2],
      ],
    );
  });

  test("is said to be beyond building where a step of it fails", async () => {
    await using lab = await DockerLab.open();
    const dockerfile = join(lab.folder, "Dockerfile");
    await writeFile(dockerfile, "FROM p2prc-test:tiny\nCOPY nothing /\n");
    const runtime = await lab.runtime({ defaultImage: { name: "p2prc/default:test", dockerfile } });
    const making = runtime.create(sandboxSpec({ profile: "strict" }), () => undefined, signal);
    await assert.rejects(making, { code: "runtime-failed", message: /could not build the image/ });
    assert.deepEqual(await runtime.list(signal), []);
  });
});

describe("a daemon that was killed while it made a sandbox", { skip, timeout: 60_000 }, () => {
  test("leaves a companion that the next one lists and removes", async () => {
    await using lab = await DockerLab.open({ userns: true });
    const first = await lab.runtime();
    const spec = sandboxSpec({ network: "internet" });
    await first.create(spec, () => undefined, signal);
    // What stands when it ends just before the sandbox itself is made.
    const path = `/containers/p2prc-${spec.id}`;
    await lab.engine.ask({ method: "DELETE", path, query: { force: true } }, signal);
    const next = await lab.runtime();
    const [found] = await next.list(signal);
    assert.deepEqual(found, { id: spec.id, state: "stopped", labels: spec.labels, reason: "it was never finished" });
    await next.create(spec, () => undefined, signal);
    assert.equal((await next.list(signal))[0]?.state, "running");
    await next.remove(spec.id, signal);
    const query = { all: true, filters: JSON.stringify({ label: ["p2prc.keeper=me"] }) };
    assert.deepEqual(await lab.engine.ask({ method: "GET", path: "/containers/json", query }, signal), []);
  });

  test("sees no sandbox of another node on the same engine", async () => {
    await using lab = await DockerLab.open();
    const mine = await lab.runtime();
    const theirs = await lab.runtime({ keeper: "somebody" });
    const spec = sandboxSpec({ profile: "strict" });
    await mine.create(spec, () => undefined, signal);
    assert.deepEqual(await theirs.list(signal), []);
    await theirs.remove(spec.id, signal);
    assert.equal((await mine.list(signal)).length, 1);
  });
});

async function world(lab: DockerLab, spec: Partial<SandboxSpec>): Promise<RuntimeWorld> {
  let runtime = await lab.runtime();
  return {
    runtime,
    spec,
    reopen: async () => {
      await runtime[Symbol.asyncDispose]();
      runtime = await lab.runtime();
      return runtime;
    },
    [Symbol.asyncDispose]: async () => await runtime[Symbol.asyncDispose](),
  };
}
