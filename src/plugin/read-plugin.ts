/** From a folder to the plugin in it: by its manifest, or in the form of the first P2PRC. */

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { Value } from "typebox/value";
import { cleanText, Failure } from "../core/index.ts";
import { type Parameter, type Plugin, PluginManifest } from "./contract.ts";
import { parseValue } from "./parameters.ts";
import { readYaml } from "./read-yaml.ts";

/** Of each file that says something about the plugin. */
const MAX_BYTES = 256 * 1_024;
const MAX_PORTS = 100;

/** @throws {Failure} bad-argument: what is wrong with it, in words */
export async function readPlugin(folder: string, signal: AbortSignal): Promise<Plugin> {
  const [json, yaml] = await Promise.all([
    textOf(join(folder, "plugin.json")),
    textOf(join(folder, "plugin.yaml")).then(async (found) => found ?? (await textOf(join(folder, "plugin.yml")))),
  ]);
  const plugin =
    json !== undefined
      ? fromManifest("plugin.json", parseJson("plugin.json", json))
      : yaml !== undefined
        ? fromManifest("plugin.yaml", await readYaml({ name: "plugin.yaml", source: yaml }, signal))
        : await fromSeed(folder);
  if ((await textOf(join(folder, plugin.playbook))) === undefined) {
    throw bad(`there is no ${plugin.playbook} in it`, "a plugin is a folder with a playbook, `site.yml`");
  }
  return plugin;
}

function fromManifest(file: string, value: unknown): Plugin {
  if (!Value.Check(PluginManifest, value)) throw unfit(file, value);
  const { name, description, playbook = "site.yml", parameters = {}, ports = [], needs = {}, urls = [] } = value;
  for (const [key, parameter] of Object.entries(parameters)) checkDefault(file, key, parameter);
  checkPorts(file, ports, urls);
  const shown = cleanText(description, 2_000);
  return { form: "manifest", name, description: shown, playbook, parameters, ports, needs, urls };
}

function unfit(file: string, value: unknown): Failure {
  const [first] = Value.Errors(PluginManifest, value);
  const where = first === undefined || first.instancePath === "" ? "" : ` at ${first.instancePath}`;
  return bad(
    `${file} is wrong${where}: ${first?.message ?? "not a manifest"}`,
    "docs/plugins.md says what stands in it",
  );
}

function checkPorts(file: string, ports: Plugin["ports"], urls: Plugin["urls"]): void {
  const names = ports.map((port) => port.name);
  const twice = names.find((one, index) => names.indexOf(one) < index);
  if (twice !== undefined) throw bad(`${file} has two ports "${twice}"`);
  const unknown = urls.find(({ port }) => !names.includes(port));
  if (unknown !== undefined) throw bad(`${file} has a URL of a port "${unknown.port}" that it does not name`);
}

function checkDefault(file: string, key: string, parameter: Parameter): void {
  if (parameter.default === undefined) return;
  try {
    parseValue(key, String(parameter.default), parameter);
  } catch (error) {
    throw bad(`${file}: the default of ${key} does not fit: ${(error as Error).message}`);
  }
}

async function fromSeed(folder: string): Promise<Plugin> {
  const [description = "", ports] = await Promise.all([
    textOf(join(folder, "description.txt")),
    textOf(join(folder, "ports.json")),
  ]);
  const count =
    ports === undefined ? 0 : (parseJson("ports.json", ports) as { NumOfPorts?: unknown } | null)?.NumOfPorts;
  if (!Number.isInteger(count) || Number(count) < 0 || Number(count) > MAX_PORTS) {
    throw bad("ports.json does not say how many ports", `write it as {"NumOfPorts": 1}, with at most ${MAX_PORTS}`);
  }
  const named = Array.from({ length: Number(count) }, (_, index) => ({ name: `port${index}` }));
  return {
    ...{ form: "seed", name: undefined, playbook: "site.yml", parameters: {}, needs: {} },
    description: cleanText(description.replaceAll(/\s+/gu, " "), 2_000),
    ports: named,
    urls: named.map(({ name }) => ({ port: name })),
  };
}

function parseJson(file: string, text: string): unknown {
  try {
    return JSON.parse(text.replace(/^\uFEFF/u, ""));
  } catch (error) {
    throw bad(`${file} is not JSON: ${(error as Error).message}`);
  }
}

async function textOf(path: string): Promise<string | undefined> {
  try {
    const bytes = await readFile(path);
    if (bytes.length > MAX_BYTES) throw bad(`"${path.slice(-80)}" has over ${MAX_BYTES} bytes`);
    return bytes.toString("utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    if ((error as NodeJS.ErrnoException).code === "EISDIR") throw bad(`"${path.slice(-80)}" is a folder`);
    throw error;
  }
}

function bad(message: string, hint?: string): Failure {
  return new Failure("bad-argument", cleanText(message, 500), { hint });
}
