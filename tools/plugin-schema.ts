/** Writes docs/plugin.schema.json from the schema that manifests are held against; a test holds the two together. */

import { writeFile } from "node:fs/promises";
import { pluginSchema } from "../test/support/plugin-schema.ts";

await writeFile(new URL("../docs/plugin.schema.json", import.meta.url), pluginSchema());
