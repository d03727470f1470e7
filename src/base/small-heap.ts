/**
 * Keeps V8 from giving young objects 16 MB of room, before anything large is loaded: a daemon is idle most of its life.
 *
 * What makes much in a short time (a walk over a thousand nodes) would then spend a quarter of it on collecting, so
 * that gets the usual room while it works.
 */

import { setFlagsFromString } from "node:v8";

let small = false;
let growing = 0;

export function keepHeapSmall(): void {
  small = true;
  setFlagsFromString("--semi-space-growth-factor=1");
}

/** Young objects have the usual room until this is disposed of. What V8 took it gives back at a later collection. */
export function letHeapGrow(): Disposable {
  if (!small) return { [Symbol.dispose]: () => {} };
  if (growing++ === 0) setFlagsFromString("--semi-space-growth-factor=2");
  let held = true;
  return {
    [Symbol.dispose]: () => {
      if (held && --growing === 0) keepHeapSmall();
      held = false;
    },
  };
}
