/** Waits until a stream takes more, or never will again. Unlike `once(…, "drain")` it knows of both. */

import type { Writable } from "node:stream";

export function drained(to: Writable): Promise<void> {
  return new Promise((resolve) => {
    if (to.destroyed || !to.writableNeedDrain) {
      resolve();
      return;
    }
    const done = () => {
      to.off("drain", done);
      to.off("close", done);
      resolve();
    };
    to.on("drain", done);
    to.on("close", done);
  });
}
