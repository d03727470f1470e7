/** Sandboxes that a job has made for itself live for as long as it runs, and not much longer where nobody is left to remove them. */

import { type Clock, Scope } from "../../base/index.ts";
import type { Client } from "../../client/index.ts";
import { cleanText, Failure } from "../../core/light.ts";
import type { Box } from "../../sandbox/index.ts";
import type { Io } from "../io.ts";

/** Of those that live for long: their node may be away when they are to be extended, and is asked again. */
const EVERY_MS = 3_600_000;
const AT_LEAST_MS = 60_000;

/** Goes on until it is disposed of. */
export function keepBoxes(client: Client, boxes: readonly Box[], io: Pick<Io, "clock" | "err">): AsyncDisposable {
  const scope = new Scope();
  for (const { sandbox } of boxes) {
    const lifetimeMs = sandbox.expires - sandbox.made;
    scope.spawn((signal) => keep(client, { id: sandbox.id, name: sandbox.name, lifetimeMs }, { io, signal }));
  }
  return scope;
}

interface Kept {
  readonly id: string;
  readonly name: string;
  /** As it was made. */
  readonly lifetimeMs: number;
}

/** Resolves when it is no more, rejects when the signal aborts. */
async function keep(
  client: Client,
  { id, name, lifetimeMs }: Kept,
  { io, signal }: { readonly io: { readonly clock: Clock; err: Io["err"] }; readonly signal: AbortSignal },
): Promise<void> {
  let told = false;
  for (;;) {
    await io.clock.sleep(Math.max(AT_LEAST_MS, Math.min(EVERY_MS, lifetimeMs / 4)), signal);
    try {
      await client.extend(id, lifetimeMs, signal);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      if (error.code === "not-found") return;
      if (!told) io.err(`${name} may end before the job does: ${cleanText(error.message, 200)}`, "warn");
      told = true;
    }
  }
}
