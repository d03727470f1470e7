/** Whether values are allowed: their shape by the schema, then what a schema cannot say. */

import { isIP } from "node:net";
import { Compile } from "typebox/compile";
import { AllowedNetworks, cleanText, Failure, isCleanText, nearest } from "../core/index.ts";
import { type Config, type ConfigKey, ConfigSchema, configKeys } from "./config.ts";

/** Bytes, as the record of a node has room for. */
const MAX_INFO_BYTES = 200;
const schema = Compile(ConfigSchema);

/** Where the values come from, for the message: `--port`, `P2PRC_PORT`, `config.json: port`. */
export interface Source {
  readonly name: string;
  readonly place: (key: ConfigKey) => string;
}

type Place = Source["place"];

/** @throws {Failure} bad-config */
export function check(values: Record<string, unknown>, { name, place }: Source): Config {
  for (const key of Object.keys(values)) if (!isKey(key)) throw unknownKey(key, name);
  if (!schema.Check(values)) throw badShape(values, place);
  checkNames(values, place);
  for (const [index, address] of (values.listen ?? []).entries()) {
    if (isIP(address) === 0)
      throw bad(
        at(place("listen"), index),
        `"${cleanText(address, 64)}" is not an IP address`,
        "write an address of this machine, as in `192.0.2.7` or `::`; host names are not looked up",
      );
  }
  for (const [index, network] of (values.allowNetworks ?? []).entries())
    checkNetwork(network, at(place("allowNetworks"), index));
  return values;
}

function checkNames({ name, info }: Config, place: Place): void {
  if (name !== undefined && (!isCleanText(name) || name.trim() !== name)) {
    throw bad(
      place("name"),
      `"${cleanText(name, 64)}" holds characters that do not show, or blanks around it`,
      "choose a name of visible characters",
    );
  }
  if (info === undefined) return;
  if (!isCleanText(info))
    throw bad(place("info"), "it holds characters that do not show", "write it in one line of visible characters");
  if (Buffer.byteLength(info) > MAX_INFO_BYTES)
    throw bad(place("info"), `it has ${Buffer.byteLength(info)} bytes`, `write at most ${MAX_INFO_BYTES} bytes`);
}

function checkNetwork(text: string, where: string): void {
  try {
    AllowedNetworks.parse([text]);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    throw bad(where, error.message, error.hint);
  }
}

function badShape(values: Record<string, unknown>, place: Place): Failure {
  const [first] = schema.Errors(values);
  const [key = "", ...inside] = (first?.instancePath ?? "").split("/").slice(1);
  const where = isKey(key) ? inside.reduce((path, index) => at(path, Number(index)), place(key)) : key;
  const value = inside.reduce<unknown>((found, index) => (found as Record<string, unknown>)[index], values[key]);
  const found = key === "networkSecret" ? "" : `, not ${cleanText(JSON.stringify(value), 64)}`; // that goes into no log
  return bad(where, `${first?.message ?? "wrong"}${found}`, isKey(key) ? shapes[key] : undefined);
}

const shapes: { readonly [K in ConfigKey]: string } = {
  name: "a name has 1 to 32 characters",
  port: "a port is a whole number from 0 to 65535; 0 takes any that is free",
  listen: "write addresses of this machine, as in `192.0.2.7` or `::`",
  allowNetworks: "write networks, as in `100.64.0.0/10`",
  lan: "say `yes` or `no` (in config.json true or false)",
  map: "say `yes` or `no` (in config.json true or false)",
  punch: "say `yes` or `no` (in config.json true or false)",
  networkSecret: "write 16 to 128 characters, as `openssl rand -hex 16` makes them, the same on each node",
  lends: "say `yes` or `no` (in config.json true or false)",
  info: "write one line of at most 200 characters",
  labels: "write at most 8, as in `site=attic`: small letters, digits and = . _ -",
  runtime: "write `docker`, `podman` or `bubblewrap`",
  relay: "write `friends`, `anyone` or `no`",
};

function unknownKey(key: string, source: string): Failure {
  const meant = nearest(key, configKeys);
  return new Failure("bad-config", `${source}: no such key: "${cleanText(key, 64)}"`, {
    hint: meant === undefined ? `there are ${configKeys.join(", ")}` : `did you mean "${meant}"?`,
  });
}

function isKey(key: string): key is ConfigKey {
  return (configKeys as readonly string[]).includes(key);
}

/** The entry of a list, counted as people count. */
function at(where: string, index: number): string {
  return `${where}, entry ${index + 1}`;
}

function bad(where: string, why: string, hint: string | undefined): Failure {
  return new Failure("bad-config", `${where}: ${why}`, { hint });
}
