/** The Docker runtime against a real Podman. */

import { after } from "node:test";
import { runtimeContract, type RuntimeWorld } from "../contract/runtime.ts";
import { DockerLab, whyNoPodman } from "../support/docker-lab.ts";
import type { DockerRuntime } from "../../src/sandbox/runtime/docker/docker-runtime.ts";

let lab: Promise<DockerLab> | undefined;
/** One for all tests: Podman takes a second to say what it is. */
let runtime: DockerRuntime | undefined;

after(async () => await (await lab)?.[Symbol.asyncDispose]());
runtimeContract("Podman", world, { skip: whyNoPodman(), timeoutMs: 120_000 });

async function world(): Promise<RuntimeWorld> {
  lab ??= DockerLab.open({ engine: "podman" });
  const engine = await lab;
  runtime ??= await engine.runtime();
  return {
    runtime,
    spec: { profile: "strict", network: "internet" },
    reopen: async () => {
      await runtime?.[Symbol.asyncDispose]();
      runtime = await engine.runtime();
      return runtime;
    },
    [Symbol.asyncDispose]: async () => {}, // the lab's to close
  };
}
