/**
 * Reads the log that the resident keeps of the sandbox's command (`resident/beside.ts`).
 *
 * It lies in a folder of the guest's own, who may put there whatever they like: a link, a pipe, a file without end. Nothing
 * but plain files is opened, no link is followed, and no more is read than there should be.
 */

import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { Readable } from "node:stream";
import type { Clock } from "../../../base/index.ts";
import { logFiles, MAX_LOG_BYTES } from "../../resident/beside.ts";
import type { LogsOptions } from "../runtime.ts";
import type { SandboxFolder } from "./sandbox-folder.ts";

export interface CommandLogDeps {
  readonly clock: Clock;
  /** Whether anything may still be written. */
  readonly lives: () => Promise<boolean>;
}

const LOOK_EVERY_MS = 200;

export function readLog(
  folder: SandboxFolder,
  { follow, lines }: LogsOptions,
  { deps, signal }: { readonly deps: CommandLogDeps; readonly signal: AbortSignal },
): Readable {
  return Readable.from(pieces(folder, { follow, lines }, { deps, signal }), { objectMode: false, signal });
}

async function* pieces(
  folder: SandboxFolder,
  { follow, lines }: LogsOptions,
  { deps, signal }: { readonly deps: CommandLogDeps; readonly signal: AbortSignal },
): AsyncGenerator<Buffer> {
  const older = await readFrom(folder, logFiles[1], 0);
  const newer = await readFrom(folder, logFiles[0], 0);
  yield lastLines(Buffer.concat([older.bytes, newer.bytes]), lines);
  let { inode } = newer;
  let at = newer.bytes.length;
  while (follow && !signal.aborted) {
    const lives = await deps.lives();
    let more = await readFrom(folder, logFiles[0], at);
    if (more.inode !== inode) {
      // Full meanwhile, and the older one now: what was not read of it, and then the new one.
      yield (await readFrom(folder, logFiles[1], at)).bytes;
      more = await readFrom(folder, logFiles[0], 0);
      at = 0;
      inode = more.inode;
    }
    at += more.bytes.length;
    yield more.bytes;
    if (!lives) return;
    await deps.clock.sleep(LOOK_EVERY_MS, signal);
  }
}

interface Piece {
  readonly bytes: Buffer;
  readonly inode: number;
}

async function readFrom({ layer }: SandboxFolder, name: string, from: number): Promise<Piece> {
  await using file = await openPlain(layer, name);
  if (file === undefined) return { bytes: Buffer.alloc(0), inode: 0 };
  const { ino, size, isPlain } = await lookAt(file);
  if (!isPlain || size <= from) return { bytes: Buffer.alloc(0), inode: ino };
  const length = Math.min(size, MAX_LOG_BYTES) - from;
  if (length <= 0) return { bytes: Buffer.alloc(0), inode: ino };
  const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, from);
  return { bytes: buffer.subarray(0, bytesRead), inode: ino };
}

/** The folder first, and the file in it by the folder's descriptor: a link in the place of either is refused. */
async function openPlain(layer: string, name: string): Promise<FileHandle | undefined> {
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK, O_DIRECTORY } = constants;
  try {
    await using folder = await open(`${layer}/log`, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    return await open(`/proc/self/fd/${folder.fd}/${name}`, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  } catch (error) {
    if (error instanceof Error && "code" in error) return undefined; // not there, or not what it should be
    throw error;
  }
}

async function lookAt(
  file: FileHandle,
): Promise<{ readonly ino: number; readonly size: number; readonly isPlain: boolean }> {
  const found = await file.stat();
  return { ino: found.ino, size: found.size, isPlain: found.isFile() };
}

function lastLines(text: Buffer, lines: number): Buffer {
  let at = text.length;
  if (text.at(-1) === 0x0a) at--; // the end of the last line begins none
  for (let count = 0; count < lines; count++) {
    at = at <= 0 ? -1 : text.lastIndexOf(0x0a, at - 1);
    if (at === -1) return text;
  }
  return text.subarray(Math.min(at + 1, text.length));
}
