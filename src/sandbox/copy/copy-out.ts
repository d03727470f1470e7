/**
 * From a sandbox to this machine. Whoever answers there may be hostile: what it sends stays below the target, follows no
 * link, makes no device and nothing setuid, and has an end.
 */

import { realpath, rm } from "node:fs/promises";
import { basename, dirname, join, posix } from "node:path";
import { Failure } from "../../core/light.ts";
import { type FileFacts, PART_SUFFIX, receiveRange, statFile } from "../resident/file-range.ts";
import { Refusal } from "../resident/refusal.ts";
import { parseEntryName, SafeFolder } from "../resident/safe-path.ts";
import { unpackFrom } from "../resident/unpack.ts";
import type { Copied, CopyDeps, CopyWish } from "./copy-files.ts";
import { failureHere, lookHere } from "./near-files.ts";
import { findTarget, type TargetSide } from "./target.ts";
import { farPath, LARGE_BYTES, Transfer } from "./transfer.ts";
import { withTries } from "./tries.ts";

interface OneFile {
  /** There. */
  readonly path: string;
  readonly facts: FileFacts;
  /** Here. */
  readonly near: string;
}

/** @throws {Failure} */
export async function copyOut(deps: CopyDeps, { from, to, maxBytes }: CopyWish, signal: AbortSignal): Promise<Copied> {
  const transfer = new Transfer(deps, maxBytes);
  const { path, slash, contents } = farPath(from.path);
  const facts = await withTries(deps, () => transfer.far.facts(path, {}, signal), signal);
  const shown = `"${from.box ?? ""}:${from.path}"`;
  if (facts === undefined) throw new Failure("not-found", `no such file or folder in the sandbox: ${shown}`);
  if ((facts.kind !== "file" && facts.kind !== "folder") || (facts.kind === "file" && slash))
    throw new Failure("bad-argument", `${shown} is ${slash ? "no folder" : "neither a file nor a folder"}`);
  const source = { kind: facts.kind, name: contents ? undefined : posix.basename(path) };
  const near = await findTarget(nearSide, { path: to.path, slash: /[\\/]$/u.test(to.path) }, source);
  if (facts.kind === "file") await getFile(transfer, { path, facts, near }, signal);
  else await getFolder(transfer, { path, near }, signal);
  return { entries: transfer.entries, bytes: transfer.bytes, path: near };
}

const nearSide: TargetSide = {
  look: async (path, options) => (await lookHere(path, options))?.kind,
  join,
  parent: dirname,
  show: (path) => `"${path}"`,
};

async function getFile(transfer: Transfer, file: OneFile, signal: AbortSignal): Promise<void> {
  transfer.take(file.facts.size);
  transfer.entries++;
  try {
    await withTries(transfer.deps, (first) => getRange(transfer, { ...file, first }, signal), signal);
  } catch (error) {
    if (file.facts.size <= LARGE_BYTES) await rm(`${file.near}${PART_SUFFIX}`, { force: true }); // not worth going on with
    throw failureHere(error, file.near);
  }
}

async function getRange(
  transfer: Transfer,
  { path, facts, near, first }: OneFile & { readonly first: boolean },
  signal: AbortSignal,
): Promise<void> {
  const { size, mode, mtimeMs } = facts;
  const from = size > LARGE_BYTES || !first ? await leftHere(transfer, { path, facts, near }, signal) : 0;
  await using stream = await transfer.far.get(path, { offset: from, size }, signal);
  const onBytes = transfer.counter({ name: posix.basename(path), from, all: size });
  await receiveRange(stream.bytes, near, { from, to: size, mode, mtimeMs, onBytes });
}

/** How many bytes an earlier attempt left here that are the same as there. */
async function leftHere({ far }: Transfer, { path, facts, near }: OneFile, signal: AbortSignal): Promise<number> {
  const part = `${near}${PART_SUFFIX}`;
  const left = await lookHere(part, { follow: false });
  if (left?.kind !== "file" || left.size === 0 || left.size > facts.size) return 0;
  const [there, here] = await Promise.all([
    far.facts(path, { prefix: left.size }, signal),
    statFile(part, left.size, signal),
  ]);
  if (there?.size !== facts.size || there.mtimeMs !== facts.mtimeMs)
    throw new Failure("conflict", `"${path}" changed in the sandbox while it was copied`, { hint: "run it again" });
  return there.prefixSha256 !== undefined && there.prefixSha256 === here.prefixSha256 ? left.size : 0;
}

async function getFolder(
  transfer: Transfer,
  { path, near }: { readonly path: string; readonly near: string },
  signal: AbortSignal,
): Promise<void> {
  const { files, bytes, left } = await withTries(
    transfer.deps,
    () => getTree(transfer, { path, near }, signal),
    signal,
  ).catch((error: unknown) => {
    throw failureHere(error, near);
  });
  transfer.entries += files;
  transfer.take(bytes);
  for (const name of left ?? []) await getLarge(transfer, { path, near, name }, signal);
}

async function getTree(
  transfer: Transfer,
  { path, near }: { readonly path: string; readonly near: string },
  signal: AbortSignal,
) {
  await using stream = await transfer.far.get(path, { tree: "", large: LARGE_BYTES }, signal);
  const onBytes = transfer.counter({ name: basename(near) });
  return await unpackFrom(stream.bytes, near, { outwardLinks: "refuse", maxBytes: transfer.room, onBytes });
}

/** One that the archive only named. */
async function getLarge(
  transfer: Transfer,
  { path, near, name }: { readonly path: string; readonly near: string; readonly name: string },
  signal: AbortSignal,
): Promise<void> {
  try {
    const parts = parseEntryName(name);
    if (parts.length === 0) throw new Refusal("bad-argument", "refused: a file without a name");
    const place = await new SafeFolder(await realpath(near)).pathOf(parts);
    const there = posix.join(path, ...parts);
    const facts = await withTries(transfer.deps, () => transfer.far.facts(there, {}, signal), signal);
    if (facts?.kind !== "file") throw new Refusal("conflict", `"${there}" went away while it was copied`);
    await getFile(transfer, { path: there, facts, near: place }, signal);
  } catch (error) {
    throw failureHere(error, near);
  }
}
