/** Tells whoever works in a sandbox that its time is nearly over. */

import { isAbort } from "../base/index.ts";
import type { Client } from "../client/index.ts";
import { Failure } from "../core/light.ts";
import type { Box } from "../sandbox/index.ts";
import { formatLeft } from "./boxes.ts";
import type { Io } from "./io.ts";

/** Most commands are over by then: nobody is asked for them. */
const FIRST_LOOK_MS = 5_000;
/** A node warns in the last ten minutes; one that was extended meanwhile is looked at again. */
const LOOK_EVERY_MS = 2 * 60_000;

/** Undefined: the end is not near. */
export function endWarning({ sandbox }: Pick<Box, "sandbox">, now: number): string | undefined {
  if (sandbox.endsSoon !== true) return undefined;
  const { name, expires } = sandbox;
  return `${name} ends ${formatLeft(expires, now)}: \`p2prc extend ${name} 2h\` lets it live longer`;
}

/** Says it once, into a terminal that is raw. Resolves when `signal` aborts, too. */
export async function warnBeforeEnd(
  { client, box }: { readonly client: Client; readonly box: string },
  io: Io,
  signal: AbortSignal,
): Promise<void> {
  try {
    await io.clock.sleep(FIRST_LOOK_MS, signal);
    for (;;) {
      const warning = endWarning(await client.box(box, signal), io.clock.wallTime());
      if (warning !== undefined) {
        io.streams.stderr.write(`\r\np2prc: ${warning}\r\n`);
        return;
      }
      await io.clock.sleep(LOOK_EVERY_MS, signal);
    }
  } catch (error) {
    // Whoever waits for the command hears of what is wrong.
    if (!isAbort(error, signal) && !(error instanceof Failure)) throw error;
  }
}
