/** The Docker runtime against a real engine, stock and with user namespaces. */

import { runtimeContract, type RuntimeWorld } from "../contract/runtime.ts";
import { after } from "node:test";
import { DockerLab, whyNoDocker } from "../support/docker-lab.ts";
import type { SandboxSpec } from "../../src/sandbox/runtime/runtime.ts";

const skip = whyNoDocker();

for (const { name, userns, spec } of [
  { name: "Docker", userns: false, spec: { profile: "strict" } },
  { name: "Docker with user namespaces", userns: true, spec: { network: "internet" } },
] as const) {
  let lab: Promise<DockerLab> | undefined;
  const open = () => (lab ??= DockerLab.open({ userns }));
  after(async () => await (await lab)?.[Symbol.asyncDispose]());
  runtimeContract(name, async () => await world(await open(), spec), { skip });
}

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
