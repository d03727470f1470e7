/**
 * A failure to reach a node, in the words of the command that named it. The rooms that fail know a key
 * and say `NODE`; only here is it known what the person typed.
 */

import { cleanText, Failure } from "../core/light.ts";

export function aboutNode(error: unknown, typed: string): unknown {
  if (!(error instanceof Failure)) return error;
  const node = cleanText(typed, 80);
  const bare = error.code === "unreachable" && !error.message.includes(node);
  return new Failure(error.code, bare ? `${node} cannot be reached: ${error.message}` : error.message, {
    hint: error.hint?.replaceAll("NODE", () => node),
    cause: error,
  });
}
