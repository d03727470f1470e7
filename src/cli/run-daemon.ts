/** The daemon in the foreground: this process is the daemon, until Ctrl-C or `p2prc stop`. */

import { keepHeapSmall } from "../base/index.ts";
import type { OpenOptions } from "./io.ts";

export interface Here {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly platform: NodeJS.Platform;
  readonly uid: number | undefined;
  readonly pid: number;
}

/** All that a daemon consists of is loaded here and by no other command. */
export async function runDaemonHere(
  { home, flags = [], here }: Pick<OpenOptions, "home" | "flags"> & { readonly here: Here },
  onReady: () => Promise<unknown>,
  signal: AbortSignal,
): Promise<void> {
  keepHeapSmall();
  const { runDaemon } = await import("../daemon/index.ts");
  await runDaemon({ ...here, home, flags, onReady: async () => void (await onReady()) }, signal);
}
