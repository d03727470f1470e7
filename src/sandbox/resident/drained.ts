/** After a `write` that said no: waits until the stream takes more, or never will again. `once(…, "drain")` knows of the first only. */

/** Node's own streams, and those of tar-stream, which are of another make. */
interface Drainable {
  readonly destroyed: boolean;
  on(event: "drain" | "close", listener: () => void): unknown;
  off(event: "drain" | "close", listener: () => void): unknown;
}

export function drained(to: Drainable): Promise<void> {
  return new Promise((resolve) => {
    if (to.destroyed) {
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
