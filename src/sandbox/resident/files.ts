/**
 * Files in and out. What is asked stands after the colon: the path, percent-encoded, and a query.
 *
 *   put:<path>                                   a tar stream (`packInto`), into the folder `path`; answered with `Moved`
 *   put:<path>?offset=N&size=S&mode=M[&mtime=T]  one file from byte N on (`file-range.ts`); M is octal; answered with `Moved`
 *   get:<path>                                   a tar stream of entries that begin with its own name
 *   get:<path>?tree[&large=N]                    the same, but they begin with `.`; files of more than N bytes are only named
 *   get:<path>?offset=N&size=S                   one file from byte N on
 *   get:<path>?stat[&part][&prefix=N]            `FileFacts`; with `part` of what an earlier attempt left of it
 *
 * With `follow` a `get` is about what the path leads to, where it is a link.
 * An answer that is not a file is one JSON value, also where it went wrong: `{"error":{code,message}}`. Paths that do not
 * begin with `/` begin in the home of the user.
 */

import { realpath } from "node:fs/promises";
import { resolve } from "node:path";
import type { Duplex } from "node:stream";
import { existingHome, findAccount, homeOf } from "./account.ts";
import { PART_SUFFIX, receiveRange, sendRange, statFile } from "./file-range.ts";
import { packInto, type PackWish } from "./pack.ts";
import { Refusal, refusalFrom, refusalReply } from "./refusal.ts";
import { unpackFrom } from "./unpack.ts";

/** What a sender may still send once it was refused; after that it is cut off. */
const MAX_DROPPED_BYTES = 64 * 1024 * 1024;

interface Wanted {
  readonly path: string;
  readonly query: URLSearchParams;
}

export interface FilesWish {
  /** What stands after the colon. */
  readonly rest: string;
  /** What the runtime gives everybody inside. */
  readonly env: Readonly<Record<string, string>>;
}

/** Called with a stream that is accepted already. Resolves, never rejects, when all is said. */
export async function servePut(stream: Duplex, wish: FilesWish): Promise<void> {
  const answer = await parseWanted(wish)
    .then(({ path, query }) =>
      query.has("offset") ? receiveRange(stream, path, parseReceived(query)) : unpackFrom(stream, path, KEEP_LINKS),
    )
    .catch((error: unknown) => refusalReply(refusalFrom(error, "writing")));
  if (stream.destroyed) return;
  stream.end(JSON.stringify(answer));
  dropRest(stream);
}

export async function serveGet(stream: Duplex, wish: FilesWish, signal: AbortSignal): Promise<void> {
  stream.resume(); // nothing is expected from there but its end
  try {
    const { path: named, query } = await parseWanted(wish);
    const path = query.has("follow") ? await realpath(named) : named;
    if (query.has("stat")) stream.end(JSON.stringify(await facts(path, query, signal)));
    else if (query.has("offset")) await sendRange(stream, path, parseRange(query));
    else await packInto(stream, parseTree(path, query), signal);
  } catch (error) {
    // A stat can say so; the last entry of an archive has said so; a file is cut short, which its receiver sees.
    if (stream.destroyed || stream.writableEnded) return;
    if (wish.rest.includes("?stat")) stream.end(JSON.stringify(refusalReply(refusalFrom(error, "reading"))));
    else stream.destroy(new Error("it cannot be read to its end"));
  }
}

const KEEP_LINKS = { outwardLinks: "keep" } as const;

async function facts(path: string, query: URLSearchParams, signal: AbortSignal): Promise<object> {
  const prefix = query.has("prefix") ? parseNumber(query, "prefix") : undefined;
  return await statFile(query.has("part") ? `${path}${PART_SUFFIX}` : path, prefix, signal);
}

function parseTree(path: string, query: URLSearchParams): PackWish {
  const large = query.has("large") ? { largeBytes: parseNumber(query, "large") } : {};
  return { path, ...(query.has("tree") ? { name: "." } : {}), ...large };
}

async function parseWanted({ rest, env: common }: FilesWish): Promise<Wanted> {
  const [encoded = "", query = ""] = rest.split("?");
  let path: string;
  try {
    path = decodeURIComponent(encoded);
  } catch {
    throw new Refusal("bad-argument", "the path is badly encoded");
  }
  if (path.includes("\0")) throw new Refusal("bad-argument", "no path has such a name");
  const account = await findAccount(process.getuid?.() ?? 0);
  const home = await existingHome(homeOf(account ?? { home: undefined }, common));
  return { path: resolve(home, path), query: new URLSearchParams(query) };
}

function parseRange(query: URLSearchParams): { readonly from: number; readonly to: number } {
  const from = parseNumber(query, "offset");
  const to = parseNumber(query, "size");
  if (from > to) throw new Refusal("bad-argument", "the offset is behind the end");
  return { from, to };
}

function parseReceived(query: URLSearchParams): Parameters<typeof receiveRange>[2] {
  const mode = query.get("mode") ?? "644";
  if (!/^[0-7]{3,4}$/u.test(mode)) throw new Refusal("bad-argument", `not a mode: "${mode}"`);
  const mtimeMs = query.has("mtime") ? parseNumber(query, "mtime") : undefined;
  return { ...parseRange(query), mode: Number.parseInt(mode, 8), mtimeMs };
}

function parseNumber(query: URLSearchParams, name: string): number {
  const text = query.get(name) ?? "";
  const value = Number(text);
  if (!/^\d{1,16}$/u.test(text) || !Number.isSafeInteger(value)) {
    throw new Refusal("bad-argument", `${name} is a number of bytes or milliseconds`);
  }
  return value;
}

/** So that the answer gets through to one who is still sending. */
function dropRest(stream: Duplex): void {
  let dropped = 0;
  stream.on("data", (chunk: Buffer) => {
    dropped += chunk.length;
    if (dropped > MAX_DROPPED_BYTES) stream.destroy();
  });
}
