/** docs/plugin.schema.json as it should be. */

import { PluginManifest } from "../../src/plugin/index.ts";

export function pluginSchema(): string {
  const head = { $schema: "https://json-schema.org/draft/2020-12/schema" };
  return `${JSON.stringify({ ...head, ...PluginManifest }, undefined, 2)}\n`;
}
