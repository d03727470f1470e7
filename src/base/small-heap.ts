/** Keeps V8 from giving young objects 16 MB of room, before anything large is loaded: a daemon is idle most of its life. */

import { setFlagsFromString } from "node:v8";

export function keepHeapSmall(): void {
  setFlagsFromString("--semi-space-growth-factor=1");
}
