/**
 * Unpacks an image into a folder, as the users whose it will be, in walls of its own: `tar` there sees the folder, the
 * host's /usr and nothing else, so that no name in an archive leads anywhere.
 */

import { type EventEmitter, once } from "node:events";
import { Readable } from "node:stream";
import { extract, type Header, pack, type Pack } from "tar-stream";
import { Failure } from "../../../../core/index.ts";
import type { HostSystem } from "../arguments.ts";
import { runAs } from "../launch.ts";
import type { Tools } from "../tools.ts";
import type { Users } from "../uid-ranges.ts";
import { cleanPath, EntryChooser, OWN_FILES } from "./entries.ts";

export interface UnpackDeps {
  readonly tools: Tools;
  readonly host: HostSystem;
}

/** What a sandbox mounts over must be there, since a read-only image cannot grow it. */
const NEEDED = ["dev", "proc", "tmp", "run", "etc", "root", "home/guest", "var/tmp", ".p2prc"];

/**
 * @param layers plain tar streams, from the topmost down; each is opened when its turn comes
 * @param to an empty folder that belongs to `users`
 * @throws {Failure} bad-image, too-large, runtime-failed
 */
export async function unpackImage(
  layers: readonly (() => Readable)[],
  { to, users, deps }: { readonly to: string; readonly users: Users; readonly deps: UnpackDeps },
  signal: AbortSignal,
): Promise<void> {
  const output = pack();
  output.on("error", () => {}); // whoever reads it hears of it
  const argv = tarIn(to, users, deps);
  const over = new AbortController();
  const ends = AbortSignal.any([signal, over.signal]);
  const tar = runAs(users, { tools: deps.tools, argv, input: Readable.from(output), over: to }, ends);
  tar.catch(() => output.destroy()); // then there is nobody to fill it for
  try {
    await fill(output, layers, signal);
  } catch (error) {
    // Where `tar` failed first, it has the reason: a full disk.
    const tarFirst = error instanceof Failure && error.code === "runtime-failed";
    const why = tarFirst ? await tar.catch((reason: unknown) => reason) : error;
    over.abort();
    await tar.catch(() => {});
    throw why;
  }
  await tar;
}

async function fill(output: Pack, layers: readonly (() => Readable)[], signal: AbortSignal): Promise<void> {
  const chooser = new EntryChooser();
  const links: Head[] = [];
  for (const name of NEEDED)
    await put(output, { name: `${name}/`, type: "directory", mode: name.endsWith("tmp") ? 0o1777 : 0o755 });
  for (const name of OWN_FILES) await put(output, { name, type: "file", mode: 0o644, size: 0 });
  for (const open of layers) {
    const layer = open();
    const entries = extract();
    layer.on("error", (error) => entries.destroy(error));
    layer.pipe(entries);
    try {
      for await (const entry of entries) {
        signal.throwIfAborted();
        const head = entry.header;
        const path = chooser.take(head);
        if (path === undefined) entry.resume();
        else if (head.type === "link") {
          links.push(headFor(head, path)); // what it leads to may be in a lower layer
          entry.resume();
        } else await put(output, headFor(head, path), bytesOf(entry));
      }
    } catch (error) {
      signal.throwIfAborted();
      throw error instanceof Failure ? error : new Failure("bad-image", "the image cannot be read", { cause: error });
    }
    chooser.nextLayer();
  }
  for (const link of links) await put(output, link);
  output.finalize();
}

/** Times in the future or far past, names of users, and what else a head may carry, stay behind. */
function headFor({ type, mode, uid, gid, mtime, size, linkname }: Header, path: string): Head {
  const common = { name: type === "directory" ? `${path}/` : path, mode: mode & 0o7777, uid, gid, mtime };
  if (type === "link") return { ...common, type, linkname: cleanPath(linkname), size: 0 };
  if (type === "symlink") return { ...common, type, linkname, size: 0 };
  if (type === "directory") return { ...common, type, size: 0 };
  return { ...common, type: "file", size };
}

type Head = Partial<Header> & Pick<Header, "name">;

/** Its type says nothing of that it can be read so. */
function bytesOf(entry: object): AsyncIterable<Uint8Array> {
  return entry as AsyncIterable<Uint8Array>;
}

/** Resolves when `tar` has taken it in. */
async function put(output: Pack, head: Head, content?: AsyncIterable<Uint8Array>): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  // Whatever ends it, `tar` knows why.
  const onClose = (cause?: unknown) =>
    reject(new Failure("runtime-failed", "the image could not be unpacked", { cause }));
  output.once("close", onClose);
  promise.catch(() => {}); // awaited below, once all is written
  const entry = output.entry(head, (error) => (error === null || error === undefined ? resolve() : onClose(error)));
  entry.on("error", onClose);
  try {
    for await (const bytes of content ?? []) {
      if (!entry.write(bytes)) await Promise.race([once(entry as unknown as EventEmitter, "drain"), promise]);
    }
    entry.end(undefined);
    await promise;
  } finally {
    output.off("close", onClose);
  }
}

function tarIn(to: string, users: Users, { tools, host }: UnpackDeps): readonly [string, ...string[]] {
  const seen = process.getuid?.() === 0 ? "/tmp" : to;
  const roots = host.roots.flatMap(({ path, link }) =>
    link === undefined ? ["--ro-bind", path, path] : ["--symlink", link, path],
  );
  const view = [
    "--die-with-parent",
    "--unshare-pid",
    "--unshare-net",
    "--unshare-ipc",
    "--ro-bind",
    "/usr",
    "/usr",
    ...roots,
  ];
  const owner = users.many ? ["--same-owner"] : ["--no-same-owner"];
  const modes = ["--same-permissions", "--numeric-owner", "--delay-directory-restore"];
  const tar = ["/usr/bin/tar", "--extract", "--file", "-", "--directory", "/out", ...owner, ...modes];
  return [tools.bwrap, ...view, "--bind", seen, "/out", "--", ...tar];
}
