import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import fc from "fast-check";
import { findAmd, parseRocm, readSysfs } from "./amd.ts";
import type { ToolOutcome } from "./tool.ts";

const never = new AbortController().signal;

const ROCM_6 = `{"card0": {"VRAM Total Memory (B)": "21458059264", "VRAM Total Used Memory (B)": "27856896",
  "Card Series": "Radeon RX 7900 XT", "Card Model": "0x744c", "Card Vendor": "Advanced Micro Devices, Inc. [AMD/ATI]",
  "Card SKU": "D70401XT", "GUID": "26967", "GFX Version": "gfx1100"}, "system": {"Driver version": "6.8.5"}}`;
const ROCM_5 = `{"card0": {"VRAM Total Memory (B)": "34342961152", "Card series": "Arcturus GL-XL [AMD Instinct MI100]",
  "Card model": "0x0c34", "Card vendor": "Advanced Micro Devices Inc. [AMD/ATI]", "Card SKU": "D34316"},
  "card1": {"VRAM Total Memory (B)": "34342961152", "Card series": "N/A", "Card model": "0x0c34", "Card SKU": "D34316"}}`;
const ROCM_6_2 = `{"card0": {"Device Name": "Phoenix3", "Device ID": "0x1900", "VRAM Total Memory (B)": "536870912"}}`;
const ASLEEP = "WARNING: AMD GPU device(s) is/are in a low-power state. Check power control/runtime_status\n\n";
const NO_DRIVER = "ERROR:root:Driver not initialized (amdgpu not found in modules)\n";

describe("rocm-smi's answer", () => {
  test("names a card (6.x)", () => {
    assert.deepEqual(parseRocm(ROCM_6), [amd("Radeon RX 7900 XT", 21_458_059_264)]);
  });

  test("names cards as 5.x did, and takes the SKU for want of a series", () => {
    assert.deepEqual(parseRocm(ROCM_5), [
      amd("Arcturus GL-XL [AMD Instinct MI100]", 34_342_961_152),
      amd("D34316", 34_342_961_152),
    ]);
  });

  test("names a card as 6.2 does", () => {
    assert.deepEqual(parseRocm(ROCM_6_2), [amd("Phoenix3", 536_870_912)]);
  });

  test("may begin with a warning", () => {
    assert.deepEqual(parseRocm(ASLEEP + ROCM_6), [amd("Radeon RX 7900 XT", 21_458_059_264)]);
  });

  test("may leave the memory out", () => {
    assert.deepEqual(parseRocm('{"card0": {"Card Series": "Vega 10", "VRAM Total Memory (B)": "N/A"}}'), [
      amd("Vega 10", undefined),
    ]);
  });

  test("is no answer when it is not JSON", () => {
    assert.equal(parseRocm(NO_DRIVER), undefined);
    assert.equal(parseRocm(ROCM_6.slice(0, 100)), undefined);
    assert.deepEqual(parseRocm('{"card0": null, "card1": 7}'), [amd("AMD GPU", undefined), amd("AMD GPU", undefined)]);
  });

  test("never throws", () => {
    fc.assert(fc.property(fc.oneof(fc.string(), fc.json()), (stdout) => void parseRocm(stdout)));
  });
});

describe("findAmd", () => {
  test("finds none where there is nothing", async () => {
    assert.deepEqual(await find({ kind: "missing" }), { gpus: [], problems: [] });
  });

  test("says that the driver is missing", async () => {
    assert.deepEqual(await find({ kind: "ran", exit: 1, stdout: "", stderr: NO_DRIVER }), {
      gpus: [],
      problems: ["rocm-smi: ERROR:root:Driver not initialized (amdgpu not found in modules)"],
    });
  });

  test("asks the kernel where ROCm is not installed or hangs", async () => {
    const sysfs = await mkdtemp(join(tmpdir(), "p2prc-sysfs-"));
    try {
      await card(sysfs, "card0", { vendor: "0x8086\n" });
      await card(sysfs, "card1", { vendor: "0x1002\n", mem_info_vram_total: "17163091968\n", product_name: "\n" });
      await card(sysfs, "card1-HDMI-A-1", { vendor: "0x1002\n" });
      const gpus = [amd("AMD GPU", 17_163_091_968)];
      assert.deepEqual(await find({ kind: "missing" }, sysfs), { gpus, problems: [] });
      assert.deepEqual(await find({ kind: "cut-off", why: "no answer within 5 s" }, sysfs), {
        gpus,
        problems: ["rocm-smi: no answer within 5 s"],
      });
    } finally {
      await rm(sysfs, { recursive: true });
    }
  });

  test("finds none in a kernel without graphics", async () => {
    assert.deepEqual(await readSysfs("/nowhere/at/all"), []);
  });
});

async function card(sysfs: string, name: string, files: Readonly<Record<string, string>>): Promise<void> {
  const device = join(sysfs, name, "device");
  await mkdir(device, { recursive: true });
  for (const [file, content] of Object.entries(files)) await writeFile(join(device, file), content);
}

function amd(model: string, memoryBytes: number | undefined) {
  return { vendor: "amd", model, memoryBytes };
}

function find(outcome: ToolOutcome, sysfs?: string) {
  return findAmd(() => Promise.resolve(outcome), { sysfs }, never);
}
