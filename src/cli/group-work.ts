/**
 * One instruction for every sandbox of a group, at the same time: lines of output begin with the name of the sandbox, and
 * one exit code tells of all of them, the first that failed in the order of the group.
 */

import { Duplex, type Writable } from "node:stream";
import type { Client } from "../client/index.ts";
import { cleanText, Failure, failures } from "../core/light.ts";
import type { Box, Group } from "../sandbox/index.ts";
import { roomIn } from "./exec-in-box.ts";
import type { Io } from "./io.ts";

/** As many streams into sandboxes as are held at once; a group has seldom more members. */
export const AT_ONCE = 256;
/** A line that never ends is passed on in pieces of this size. */
const MAX_LINE_BYTES = 64 * 1_024;

/** The group that a word means. Undefined: it is a sandbox's, or nobody's. */
export async function groupCalled(client: Client, word: string, signal: AbortSignal): Promise<Group | undefined> {
  if (!/^[a-z0-9-]+$/i.test(word)) return undefined; // as in `name@node`
  try {
    return await client.group(word, { exact: true }, signal);
  } catch (error) {
    if (error instanceof Failure && error.code === "not-found") return undefined;
    throw error;
  }
}

/** Those of a group that have not ended. The others are told of. @throws {Failure} not-found when none is left */
export function livingOf({ name, members }: Group, io: Io): readonly Box[] {
  for (const { name: gone } of members.filter(({ box }) => box === undefined)) {
    io.err(`${gone} has ended: \`p2prc group remove ${name} ${gone}\` takes it out of ${name}`, "warn");
  }
  const living = members.flatMap(({ box }) => (box === undefined ? [] : [box]));
  if (living.length > 0) return living;
  throw new Failure("not-found", `there is no sandbox in the group ${name}`, {
    hint: `\`p2prc group add ${name} BOX\` puts one in, \`p2prc touch --count 3 --near --group ${name}\` makes some`,
  });
}

/**
 * Works on every member at once. One that has ended counts as failed.
 * @param work returns an exit code
 * @returns the exit code of the first member that failed; what went wrong is told
 */
export async function onEach(group: Group, work: (box: Box) => Promise<number | void>, io: Io): Promise<number> {
  const living = livingOf(group, io);
  const codes = new Map<string, number>();
  await atMost(AT_ONCE, living, async (box) => {
    codes.set(box.sandbox.id, await codeOf(() => work(box), { name: box.sandbox.name, io }));
  });
  const ended = group.members.map(({ id, name }) => ({ name, code: codes.get(id) ?? failures["not-found"].exit }));
  const failed = ended.filter(({ code }) => code !== 0);
  const [first] = failed;
  if (first === undefined) return 0;
  const told = failed.slice(0, 10).map(({ name, code }) => `${name} (exit ${code})`);
  const more = failed.length > told.length ? `, and ${failed.length - told.length} more` : "";
  io.err(`p2prc: ${failed.length} of ${group.members.length} failed: ${told.join(", ")}${more}`, "bad");
  return first.code;
}

/** The exit code of some work; a Failure is told, with the name of the sandbox before it. */
export async function codeOf(
  work: () => Promise<number | void>,
  { name, io }: { readonly name: string; readonly io: Io },
): Promise<number> {
  try {
    return (await work()) ?? 0;
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    io.err(`${name}: ${error.message}`, "bad");
    if (error.hint !== undefined) io.err(`${name}: hint: ${error.hint}`);
    return failures[error.code].exit;
  }
}

/** Does the work for each item, in their order, so many at the same time. */
export async function atMost<T>(
  limit: number,
  items: readonly T[],
  work: (item: T, index: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  const hand = async () => {
    for (let index = next++; index < items.length; index = next++) await work(items[index] as T, index);
  };
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, hand));
}

/** Names before lines, all of one width. */
export function prefixes(boxes: readonly Box[]): (box: Box) => string {
  const width = Math.max(...boxes.map(({ sandbox }) => sandbox.name.length));
  return ({ sandbox }) => `${cleanText(sandbox.name, 64).padEnd(width)}  `;
}

/** Writes whole lines, each with the prefix before it. */
export function prefixed(to: Writable, prefix: string): Writable {
  const put = async (line: Buffer) => {
    const whole = line.at(-1) === 10 ? [line] : [line, Buffer.from("\n")];
    if (!to.write(Buffer.concat([Buffer.from(prefix), ...whole]))) await roomIn(to);
  };
  return Duplex.from(async (source: AsyncIterable<Buffer>) => {
    let rest: Buffer = Buffer.alloc(0);
    for await (const chunk of source) {
      rest = Buffer.concat([rest, chunk]);
      for (let end = lineEnd(rest); end > 0; end = lineEnd(rest)) {
        await put(rest.subarray(0, end));
        rest = rest.subarray(end);
      }
    }
    if (rest.length > 0) await put(rest);
  });
}

/** Where the first line ends; 0: it does not yet. */
function lineEnd(bytes: Buffer): number {
  const end = bytes.indexOf(10) + 1;
  if (end > 0 && end <= MAX_LINE_BYTES) return end;
  return bytes.length > MAX_LINE_BYTES ? MAX_LINE_BYTES : 0;
}

/** Resolves when all that was written has been passed on. */
export async function ended(stream: Writable): Promise<void> {
  await new Promise<void>((resolve) => stream.end(() => resolve()));
}
