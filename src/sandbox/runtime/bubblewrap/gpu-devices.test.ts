import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { GpuDevice } from "../runtime.ts";
import { viewArguments, type ViewOptions } from "./arguments.ts";
import { viewGpus } from "./gpu-devices.ts";

const card = (index: number): GpuDevice => ({
  vendor: "nvidia",
  index,
  uuid: `GPU-${index}`,
  model: "RTX 4090",
  memoryBytes: 24 * 1024 ** 3,
});
const sources = {
  // The driver numbers its nodes the other way round.
  cards: ["GPU UUID: \t GPU-0\nDevice Minor: \t 1\n", "GPU UUID: \t GPU-1\nDevice Minor: \t 0\n"],
  libraries: [
    "2 libs found in cache",
    "\tlibcuda.so.1 (libc6,x86-64) => /usr/lib/x86_64-linux-gnu/libcuda.so.1",
    "\tlibnvidia-ml.so.1 (libc6,x86-64) => /usr/lib/x86_64-linux-gnu/libnvidia-ml.so.1",
    "\tlibc.so.6 (libc6,x86-64) => /lib/x86_64-linux-gnu/libc.so.6",
  ].join("\n"),
};
const shared = ["/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools"];

describe("viewGpus", () => {
  test("shows nothing where nothing was granted", () => {
    assert.deepEqual(viewGpus([], sources), { devices: [], libraries: [] });
  });

  test("shows the node of the card that was granted, and of no other one", () => {
    assert.deepEqual(viewGpus([card(0)], sources).devices, ["/dev/nvidia1", ...shared]);
  });

  test("takes the tool's number where the driver says nothing", () => {
    assert.deepEqual(viewGpus([card(1)], { cards: [], libraries: "" }).devices, ["/dev/nvidia1", ...shared]);
  });

  test("shows the libraries of the driver, and none besides", () => {
    const folder = "/usr/lib/x86_64-linux-gnu";
    assert.deepEqual(viewGpus([card(0)], sources).libraries, [`${folder}/libcuda.so.1`, `${folder}/libnvidia-ml.so.1`]);
  });

  test("refuses a card of another vendor", () => {
    assert.throws(() => viewGpus([{ ...card(0), vendor: "amd" }], sources), { code: "not-supported" });
  });
});

describe("what bubblewrap is asked for with a GPU", () => {
  const host = { roots: [], etc: [], masked: [], maskedFolders: [] };
  const view: ViewOptions = {
    ...{ name: "box", profile: "dev", root: true, layer: "/l", helper: "/h", image: "/i" },
    ...{ memoryBytes: 2 ** 30, networked: false, disableUserns: true, ...viewGpus([card(0)], sources) },
  };

  test("binds the nodes as devices and the libraries read-only", () => {
    const words = viewArguments(view, host).join(" ");
    assert.match(words, /--dev-bind \/dev\/nvidia1 \/dev\/nvidia1 /);
    assert.match(
      words,
      /--ro-bind \/usr\/lib\/x86_64-linux-gnu\/libcuda.so.1 \/usr\/lib\/x86_64-linux-gnu\/libcuda.so.1/,
    );
    assert.doesNotMatch(words, /nvidia0/);
  });

  test("binds no library over the host's own system", () => {
    assert.doesNotMatch(viewArguments({ ...view, image: undefined }, host).join(" "), /libcuda/);
  });
});
