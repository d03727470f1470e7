/** Writes docs/cli.md from the table of commands; a test holds the two together. Run it after a change: `node tools/cli-docs.ts`. */

import { writeFile } from "node:fs/promises";
import { cliDocs } from "../test/support/cli-docs.ts";

await writeFile(new URL("../docs/cli.md", import.meta.url), await cliDocs());
