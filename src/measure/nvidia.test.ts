import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { findNvidia, parseNvidia } from "./nvidia.ts";
import type { ToolOutcome } from "./tool.ts";

const MIB = 1_048_576;
const never = new AbortController().signal;
const MISMATCH = "Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 535.288\n";
const NO_DRIVER =
  "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure that the latest NVIDIA driver is installed and running.\n\n";

describe("nvidia-smi's answer", () => {
  test("names one GPU (driver 550)", () => {
    assert.deepEqual(parseNvidia("NVIDIA GeForce RTX 4090, 24564\n"), found(["NVIDIA GeForce RTX 4090", 24_564]));
  });

  test("names several, with the line ends of Windows", () => {
    assert.deepEqual(
      parseNvidia("NVIDIA A100-SXM4-80GB, 81920\r\nNVIDIA A100-SXM4-80GB, 81920\r\n"),
      found(["NVIDIA A100-SXM4-80GB", 81_920], ["NVIDIA A100-SXM4-80GB", 81_920]),
    );
  });

  test("names an old one without its maker (driver 390)", () => {
    assert.deepEqual(parseNvidia("GeForce GTX 560 Ti, 1024\n"), found(["GeForce GTX 560 Ti", 1_024]));
  });

  test("tells that a GPU shares the machine's memory (GB10, driver 580)", () => {
    assert.deepEqual(parseNvidia("NVIDIA GB10, [N/A]\n"), found(["NVIDIA GB10", undefined]));
    assert.deepEqual(parseNvidia("Orin (nvgpu), [Not Supported]\n"), found(["Orin (nvgpu)", undefined]));
  });

  test("that there is none is no problem", () => {
    assert.deepEqual(parseNvidia("No devices were found\n"), found());
    assert.deepEqual(parseNvidia(""), found());
  });

  test("keeps the good GPU beside the broken one", () => {
    assert.deepEqual(parseNvidia("NVIDIA L4, 23034\n[GPU is lost], [GPU is lost]\n"), {
      ...found(["NVIDIA L4", 23_034]),
      problems: ["nvidia-smi: [GPU is lost], [GPU is lost]"],
    });
    assert.deepEqual(parseNvidia("NVIDIA L4, [Unknown Error]\n").problems, ["nvidia-smi: NVIDIA L4, [Unknown Error]"]);
  });

  test("is never a GPU when it is something else", () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 200 }), (stdout) => {
        const { gpus, problems } = parseNvidia(stdout);
        assert.ok(problems.length <= 1);
        for (const { memoryBytes } of gpus) assert.ok(memoryBytes === undefined || memoryBytes >= 0);
      }),
    );
  });
});

describe("findNvidia", () => {
  test("finds none where there is no nvidia-smi", async () => {
    assert.deepEqual(await find({ kind: "missing" }), found());
  });

  test("names the fault of a driver of another version", async () => {
    const problem = { gpus: [], problems: ["nvidia-smi: Failed to initialize NVML: Driver/library version mismatch"] };
    assert.deepEqual(await find(ran(18, MISMATCH)), problem);
    assert.deepEqual(await find(ran(18, "", MISMATCH)), problem);
  });

  test("names the fault of a driver that is not loaded", async () => {
    const { gpus, problems } = await find(ran(9, NO_DRIVER));
    assert.deepEqual(gpus, []);
    assert.match(problems[0] ?? "", /couldn't communicate with the NVIDIA driver/);
  });

  test("says that it was cut off", async () => {
    assert.deepEqual((await find({ kind: "cut-off", why: "no answer within 5 s" })).problems, [
      "nvidia-smi: no answer within 5 s",
    ]);
  });

  test("takes the exit code for want of words", async () => {
    assert.deepEqual((await find(ran(255, ""))).problems, ["nvidia-smi: exit code 255"]);
    assert.deepEqual(await find(ran(6, "No devices were found\n")), found());
  });
});

function ran(exit: number, stdout: string, stderr = ""): ToolOutcome {
  return { kind: "ran", exit, stdout, stderr };
}

function find(outcome: ToolOutcome) {
  return findNvidia(() => Promise.resolve(outcome), never);
}

function found(...gpus: (readonly [string, number | undefined])[]) {
  return {
    gpus: gpus.map(([model, mib]) => ({
      vendor: "nvidia",
      model,
      memoryBytes: mib === undefined ? undefined : mib * MIB,
    })),
    problems: [],
  };
}
