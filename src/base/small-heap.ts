/**
 * What a daemon asks of V8, before anything large is loaded. It is idle most of its life: young objects get no 16 MB of room.
 * And when it is not, bytes pass through it, which lie outside of the heap: V8 counts them against the heap's own limit too,
 * and so marked all of it for every 24 MB, which was half of what passing them on costs. Their own limit, 64 MB, stays.
 */

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

export function keepHeapSmall(): void {
  setFlagsFromString("--semi-space-growth-factor=1");
  setFlagsFromString("--no-external-memory-accounted-in-global-limit");
}

/** Gives back now what nobody holds any more: what starting left behind, which an idle process would keep for hours. */
export function sweepHeap(): void {
  collector()?.();
}

/** Lets go of what died young, and looks at nothing else. */
export function collectYoung(): void {
  collector()?.({ type: "minor" });
}

type Collect = (options?: { readonly type: "minor" }) => void;
let collect: Collect | undefined;

function collector(): Collect | undefined {
  if (collect === undefined) {
    setFlagsFromString("--expose-gc");
    collect = runInNewContext("gc") as Collect | undefined; // only a context that is newer than the flag has it
  }
  return collect;
}
