/** From this machine into a sandbox. */

import { basename, join, posix } from "node:path";
import { Failure } from "../../core/light.ts";
import { PART_SUFFIX, sendRange, statFile } from "../resident/file-range.ts";
import { packInto } from "../resident/pack.ts";
import type { Copied, CopyDeps, CopyWish } from "./copy-files.ts";
import { failureHere, lookHere, type NearFacts } from "./near-files.ts";
import { findTarget, type TargetSide } from "./target.ts";
import { farPath, LARGE_BYTES, Transfer } from "./transfer.ts";
import { withTries } from "./tries.ts";

interface OneFile extends Pick<NearFacts, "size" | "mtimeMs" | "mode"> {
  /** Here. */
  readonly near: string;
  /** There. */
  readonly path: string;
}

/** @throws {Failure} */
export async function copyIn(deps: CopyDeps, { from, to, maxBytes }: CopyWish, signal: AbortSignal): Promise<Copied> {
  const transfer = new Transfer(deps, maxBytes);
  const facts = await lookHere(from.path, { follow: true });
  if (facts === undefined) throw new Failure("not-found", `no such file or folder here: "${from.path}"`);
  if (facts.kind !== "file" && facts.kind !== "folder")
    throw new Failure("bad-argument", `"${from.path}" is neither a file nor a folder`);
  const name = nameOf(from.path);
  const target = farPath(to.path);
  const path = await withTries(
    deps,
    () => findTarget(farSide(transfer, to.box ?? "", signal), target, { kind: facts.kind as "file" | "folder", name }),
    signal,
  );
  if (facts.kind === "file") await putFile(transfer, { ...facts, near: from.path, path }, signal);
  else await putFolder(transfer, { near: from.path, path }, signal);
  return { entries: transfer.entries, bytes: transfer.bytes, path };
}

/** Undefined for `folder/.`, which stands for what is in it. */
function nameOf(path: string): string | undefined {
  const name = basename(path);
  return name === "" || /^\.{1,2}$/u.test(name) || /[\\/]\.$/u.test(path) ? undefined : name;
}

function farSide({ far }: Transfer, box: string, signal: AbortSignal): TargetSide {
  return {
    look: async (path) => (await far.facts(path, {}, signal))?.kind,
    join: (path, name) => posix.join(path, name),
    parent: (path) => posix.dirname(path),
    show: (path) => `"${box}:${path}"`,
  };
}

async function putFile(transfer: Transfer, file: OneFile, signal: AbortSignal): Promise<void> {
  transfer.take(file.size);
  transfer.entries++;
  await withTries(transfer.deps, (first) => putRange(transfer, { ...file, first }, signal), signal);
}

async function putRange(
  transfer: Transfer,
  { near, path, size, mtimeMs, mode, first }: OneFile & { readonly first: boolean },
  signal: AbortSignal,
): Promise<void> {
  const from = size > LARGE_BYTES || !first ? await leftThere(transfer, { near, path, size }, signal) : 0;
  const onBytes = transfer.counter({ name: basename(near), from, all: size });
  const query = { offset: from, size, mode: mode.toString(8), mtime: mtimeMs };
  try {
    await transfer.far.put({ path, query }, (to) => sendRange(to, near, { from, to: size, onBytes }), signal);
  } catch (error) {
    throw failureHere(error, near);
  }
}

/** How many bytes an earlier attempt left there that are the same as here. */
async function leftThere(
  { far }: Transfer,
  { near, path, size }: Pick<OneFile, "near" | "path" | "size">,
  signal: AbortSignal,
): Promise<number> {
  const part = `${path}${PART_SUFFIX}`;
  const left = await far.facts(part, {}, signal);
  if (left?.kind !== "file" || left.size === 0 || left.size > size) return 0;
  const [there, here] = await Promise.all([
    far.facts(part, { prefix: left.size }, signal),
    statFile(near, left.size, signal),
  ]);
  return there?.prefixSha256 !== undefined && there.prefixSha256 === here.prefixSha256 ? left.size : 0;
}

async function putFolder(
  transfer: Transfer,
  { near, path }: { readonly near: string; readonly path: string },
  signal: AbortSignal,
): Promise<void> {
  const { files, bytes, left } = await withTries(
    transfer.deps,
    async () => {
      const onBytes = transfer.counter({ name: basename(near) });
      try {
        return await putTree(transfer, { near, path, onBytes }, signal);
      } catch (error) {
        throw failureHere(error, near);
      }
    },
    signal,
  );
  transfer.entries += files;
  transfer.take(bytes);
  for (const name of left ?? []) {
    const file = join(near, name);
    const facts = await lookHere(file, { follow: false });
    if (facts?.kind !== "file") throw new Failure("conflict", `"${file}" went away while it was copied`);
    await putFile(transfer, { ...facts, near: file, path: posix.join(path, name) }, signal);
  }
}

async function putTree(
  { far }: Transfer,
  { near, path, onBytes }: { readonly near: string; readonly path: string; readonly onBytes: (count: number) => void },
  signal: AbortSignal,
) {
  const sent = Promise.withResolvers<Awaited<ReturnType<typeof packInto>>>();
  sent.promise.catch(() => undefined); // told by the put as well
  const wish = { path: `${near}/.`, name: ".", largeBytes: LARGE_BYTES, onBytes };
  const answer = await far.put(
    { path, query: {} },
    async (to) => {
      const packing = packInto(to, wish, signal);
      packing.then(sent.resolve, sent.reject);
      await packing;
    },
    signal,
  );
  const moved = await sent.promise;
  if (answer.sha256 !== moved.sha256)
    throw new Failure("conflict", "what arrived in the sandbox is not what was sent", { hint: "run it again" });
  return moved;
}
