/**
 * Joins two byte streams into one.
 *
 * Each direction ends by itself, so that a client which has said all may still listen; what breaks on one side
 * breaks both. Whoever reads slowly slows down who writes: nothing is kept here.
 */

import { type Duplex, pipeline, type Transform } from "node:stream";

/** Two pipelines listen eight times for the end of each stream, beside what a link listens for: no leak to warn of. */
const LISTENERS = 24;

/**
 * @param through made for each direction, as where bytes are counted; nothing by default
 * @returns resolves, never rejects, once both directions have ended: with what broke them, or undefined
 */
export async function splice(near: Duplex, far: Duplex, through?: () => Transform): Promise<Error | undefined> {
  for (const end of [near, far]) end.setMaxListeners(Math.max(end.getMaxListeners(), LISTENERS));
  const [there, back] = await Promise.all([oneWay(near, far, through), oneWay(far, near, through)]);
  return there ?? back;
}

async function oneWay(from: Duplex, to: Duplex, through?: () => Transform): Promise<Error | undefined> {
  // A stream that is destroyed between its last byte and its "end", as one of HTTP/2 is when its link breaks, is a whole
  // one to `pipeline`, which then waits for that "end" for ever.
  from.once("close", () => void (from.readableEnded || to.destroy()));
  const error = await piped(through === undefined ? [from, to] : [from, through(), to]);
  // Each is the other's only partner: half of a broken pair is of no use to anybody.
  if (error !== undefined) for (const end of [from, to]) end.destroy();
  return error;
}

function piped(streams: Duplex[]): Promise<Error | undefined> {
  return new Promise<Error | undefined>((resolve) => {
    pipeline(streams, (error) => resolve(error ?? undefined));
  }).catch((error: unknown) => error as Error); // one of them was closed before
}
