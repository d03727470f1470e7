/**
 * AMD's GPUs: as `rocm-smi` names them, or, where ROCm is not installed, as the Linux kernel does.
 *
 * `rocm-smi --json` has an object per card; the names of its fields change between versions (`Card series`,
 * `Card Series`, `Device Name`), and warnings may stand before the JSON. The kernel's amdgpu
 * driver tells the memory of each card in sysfs, but only some cards' names.
 */

import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { type FoundGpu, firstLine, type Gpus } from "./nvidia.ts";
import type { RunTool } from "./tool.ts";

const ARGS = ["--showproductname", "--showmeminfo", "vram", "--json"];
/** Newest naming first. Hexadecimal ids (`0x744c`) are no names. */
const NAME_FIELDS = ["card series", "device name", "card model", "card sku"];

export interface AmdOptions {
  /** Where the kernel lists graphics cards, on Linux. */
  readonly sysfs: string | undefined;
}

export async function findAmd(run: RunTool, { sysfs }: AmdOptions, signal: AbortSignal): Promise<Gpus> {
  const outcome = await run("rocm-smi", ARGS, signal);
  const told = outcome.kind === "ran" ? parseRocm(outcome.stdout) : undefined;
  if (told !== undefined && told.length > 0) return { gpus: told, problems: [] };
  const gpus = sysfs === undefined ? [] : await readSysfs(sysfs);
  if (outcome.kind === "missing") return { gpus, problems: [] };
  if (outcome.kind === "cut-off") return { gpus, problems: [`rocm-smi: ${outcome.why}`] };
  if (told !== undefined || outcome.exit === 0) return { gpus, problems: [] };
  return {
    gpus,
    problems: [`rocm-smi: ${firstLine(outcome.stderr) ?? firstLine(outcome.stdout) ?? `exit code ${outcome.exit}`}`],
  };
}

/** The cards in the JSON that `rocm-smi` wrote, undefined when there is none. */
export function parseRocm(stdout: string): readonly FoundGpu[] | undefined {
  const cards = parseObject(stdout.slice(Math.max(0, stdout.indexOf("{"))));
  if (cards === undefined) return undefined;
  return Object.entries(cards)
    .filter(([key]) => /^card:?\d+$/.test(key))
    .map(([, card]) => fieldsOf(card))
    .map((card) => ({ vendor: "amd", model: nameOf(card), memoryBytes: numberOf(card.get("vram total memory (b)")) }));
}

function nameOf(card: ReadonlyMap<string, string>): string {
  const names = NAME_FIELDS.map((field) => card.get(field) ?? "");
  return names.find((name) => name !== "" && name !== "N/A" && !/^0x[0-9a-f]+$/i.test(name)) ?? "AMD GPU";
}

function fieldsOf(card: unknown): ReadonlyMap<string, string> {
  if (typeof card !== "object" || card === null) return new Map();
  return new Map(Object.entries(card).map(([field, value]) => [field.toLowerCase(), String(value).trim()]));
}

/** What the amdgpu driver says of its cards. */
export async function readSysfs(folder: string): Promise<readonly FoundGpu[]> {
  const cards = (await readdir(folder).catch(() => [])).filter((name) => /^card\d+$/.test(name));
  const found = await Promise.all(cards.map((name) => readCard(join(folder, name, "device"))));
  return found.filter((gpu) => gpu !== undefined);
}

const AMD_VENDOR = "0x1002";

async function readCard(device: string): Promise<FoundGpu | undefined> {
  const read = (file: string) =>
    readFile(join(device, file), "utf8").then(
      (text) => text.trim(),
      () => "",
    ); // the driver has not every file for every card
  const [vendor, memory, name] = await Promise.all([read("vendor"), read("mem_info_vram_total"), read("product_name")]);
  if (vendor !== AMD_VENDOR) return undefined;
  return { vendor: "amd", model: name === "" ? "AMD GPU" : name, memoryBytes: numberOf(memory) };
}

function numberOf(text: string | undefined): number | undefined {
  const value = Number(text);
  return text !== undefined && text !== "" && Number.isSafeInteger(value) && value > 0 ? value : undefined;
}

function parseObject(text: string): object | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? value : undefined;
  } catch {
    return undefined; // words instead of JSON: no card, no driver
  }
}
