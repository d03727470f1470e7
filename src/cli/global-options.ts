/** What every command understands, before or after its name. */

import type { Option } from "./command.ts";

export const globalOptions: readonly Option[] = [
  { flags: "--home <folder>", summary: "where this node keeps everything (P2PRC_HOME; ~/.p2prc)" },
  { flags: "--json", summary: "print results as JSON" },
  { flags: "--restart", summary: "restart the daemon first, as after an update" },
];
