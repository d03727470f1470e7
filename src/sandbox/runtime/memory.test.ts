import { runtimeContract } from "../../../test/contract/runtime.ts";
import { fakeResident } from "../../../test/support/fake-resident.ts";
import { MemoryRuntime } from "./memory.ts";

runtimeContract("MemoryRuntime", async () => {
  let runtime = new MemoryRuntime({ resident: fakeResident });
  const { machine } = runtime;
  return {
    runtime,
    reopen: async () => {
      await runtime[Symbol.asyncDispose]();
      runtime = new MemoryRuntime({ resident: fakeResident }, { machine });
      return runtime;
    },
    [Symbol.asyncDispose]: () => runtime[Symbol.asyncDispose](),
  };
});
