/**
 * The images that the owner has put into `<home>/images`, or a guest has pushed there: archives of a root file system, and
 * OCI layouts as a folder or an archive. Each is unpacked once, under its digest, to users of its own.
 */

import { createHash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { chmod, chown, mkdir, readdir, readFile, rename, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { Failure } from "../../../../core/index.ts";
import { diskFailure } from "../../../../store/index.ts";
import type { PushedImage } from "../../runtime.ts";
import { runTool } from "../run-tool.ts";
import type { Users } from "../uid-ranges.ts";
import { type Layout, openLayer, readLayout, readPushed, unpacked } from "./layout.ts";
import type { UnpackDeps } from "./unpack.ts";

export interface Image {
  readonly digest: string;
  /** The root of its files. */
  readonly root: string;
  /** Whose they are: every sandbox of it runs as these. */
  readonly users: Users;
  readonly env: readonly string[];
}

export interface ImageStoreDeps extends UnpackDeps {
  /** `<home>/images` */
  readonly folder: string;
  /** Users for one more image. */
  readonly chooseUsers: () => Promise<Users>;
}

const UNPACKED = ".unpacked";

/** Of all images below `folder` that are unpacked. */
export async function unpackedUsers(folder: string): Promise<readonly Users[]> {
  const names = await readdir(join(folder, UNPACKED)).catch(() => []); // none was ever
  const images = await Promise.all(names.map((name) => readImage(join(folder, UNPACKED, name))));
  return images.flatMap((image) => image?.users ?? []);
}

export class ImageStore {
  readonly #deps: ImageStoreDeps;
  readonly #opening = new Map<string, Promise<Image>>();
  readonly #digests = new Map<string, string>();

  constructor(deps: ImageStoreDeps) {
    this.#deps = deps;
  }

  /** Unpacks it where that has not happened yet. @throws {Failure} not-found, bad-image, too-large, disk-full */
  async open(name: string, signal: AbortSignal): Promise<Image> {
    const source = await this.#find(name);
    const before = this.#opening.get(source.path);
    if (before !== undefined) return await before;
    const opening = this.#open(source, signal).finally(() => this.#opening.delete(source.path));
    this.#opening.set(source.path, opening);
    return await opening;
  }

  /** The same of one that a guest pushed. @throws {Failure} bad-image, too-large, disk-full */
  async openPushed({ digest, folder }: PushedImage, signal: AbortSignal): Promise<Image> {
    const before = this.#opening.get(digest);
    if (before !== undefined) return await before;
    const open = async () => await this.#openParts(folder, await readPushed(folder, digest), signal);
    const opening = open().finally(() => this.#opening.delete(digest));
    this.#opening.set(digest, opening);
    return await opening;
  }

  /** Removes what was unpacked of it. No sandbox uses it any more. */
  async forget({ digest }: PushedImage, signal: AbortSignal): Promise<void> {
    const path = join(this.#unpacked, digest.slice("sha256:".length));
    const image = await readImage(path);
    if (image === undefined) return;
    await rename(path, `${path}.new`); // half of it must never be taken for the whole
    await runTool(["/bin/rm", "-rf", "--", `${path}.new`], {}, signal);
  }

  get #unpacked(): string {
    return join(this.#deps.folder, UNPACKED);
  }

  async #find(name: string): Promise<Source> {
    // A name with a slash would be a registry's, and lead out of the folder.
    const usable = /^[a-z0-9][a-z0-9._-]*(:[A-Za-z0-9_][A-Za-z0-9_.-]*)?$/u.test(name);
    for (const ending of usable ? ["", ".tar", ".tar.gz", ".tgz", ".tar.zst"] : []) {
      const path = join(this.#deps.folder, `${name}${ending}`);
      const found = await stat(path).catch(() => undefined); // try the next
      if (found !== undefined)
        return { path, isFolder: found.isDirectory(), stamp: `${found.ino} ${found.size} ${found.mtimeMs}` };
    }
    const there = (await readdir(this.#deps.folder).catch(() => [])).filter((entry) => !entry.startsWith("."));
    throw new Failure("not-found", `no image "${name}" on this node, which takes no registry's`, {
      hint: there.length === 0 ? "push one with `p2prc image push`" : `there are: ${there.slice(0, 20).join(", ")}`,
    });
  }

  async #open(source: Source, signal: AbortSignal): Promise<Image> {
    if (source.isFolder) return await this.#openLayout(source.path, signal);
    const digest = await this.#digestOf(source);
    const known = await readImage(join(this.#unpacked, digest));
    if (known !== undefined) return known;
    const parts = join(this.#unpacked, `${digest}.parts`);
    try {
      if (await takeLayout(source.path, parts)) return await this.#openLayout(parts, signal);
    } finally {
      await runTool(["/bin/rm", "-rf", "--", parts], {}, new AbortController().signal);
    }
    return await this.#unpack({ digest, env: [] }, [() => unpacked(createReadStream(source.path))], signal);
  }

  async #openLayout(folder: string, signal: AbortSignal): Promise<Image> {
    return await this.#openParts(folder, await readLayout(folder), signal);
  }

  async #openParts(folder: string, layout: Layout, signal: AbortSignal): Promise<Image> {
    const digest = layout.digest.slice("sha256:".length);
    const known = await readImage(join(this.#unpacked, digest));
    if (known !== undefined) return known;
    const layers = layout.layers.map((layer) => () => openLayer(folder, layer)).reverse();
    return await this.#unpack({ digest, env: layout.env }, layers, signal);
  }

  /** In a folder of another name until it is whole; one that a crash left is removed first. */
  async #unpack(
    { digest, env }: Pick<Image, "digest" | "env">,
    layers: readonly (() => Readable)[],
    signal: AbortSignal,
  ): Promise<Image> {
    const path = join(this.#unpacked, digest);
    const temporary = `${path}.new`;
    await runTool(["/bin/rm", "-rf", "--", temporary], {}, signal);
    await mkdir(join(temporary, "root"), { recursive: true });
    await chmod(join(temporary, "root"), 0o755); // it is what those inside see as `/`; those outside are kept off above it
    const users = await this.#deps.chooseUsers();
    if (process.getuid?.() === 0) await chown(join(temporary, "root"), users.outer, users.outerGroup);
    try {
      const { unpackImage } = await import("./unpack.ts");
      await unpackImage(layers, { to: join(temporary, "root"), users, deps: this.#deps }, signal);
      await writeFile(join(temporary, "image.json"), JSON.stringify({ digest, users, env }), { mode: 0o600 });
      await rename(temporary, path);
    } catch (error) {
      await runTool(["/bin/rm", "-rf", "--", temporary], {}, new AbortController().signal);
      throw error;
    }
    return { digest, root: join(path, "root"), users, env };
  }

  /** Read once for each state of the file. */
  async #digestOf({ path, stamp }: Source): Promise<string> {
    const key = `${path} ${stamp}`;
    const known = this.#digests.get(key);
    if (known !== undefined) return known;
    const hash = createHash("sha256");
    await pipeline(createReadStream(path), hash);
    const digest = hash.digest("hex");
    this.#digests.set(key, digest);
    return digest;
  }
}

interface Source {
  readonly path: string;
  readonly isFolder: boolean;
  readonly stamp: string;
}

/**
 * Takes the parts of an OCI layout out of an archive of one.
 * @param folder where they go
 * @returns whether it is one; else it is that of a root
 * @throws {Failure} bad-image
 */
async function takeLayout(path: string, folder: string): Promise<boolean> {
  let found = false;
  const { extract } = await import("tar-stream");
  const entries = extract();
  const reading = pipeline(unpacked(createReadStream(path)), entries);
  reading.catch(() => {}); // the loop below fails by it
  try {
    for await (const entry of entries) {
      const { name, type } = entry.header;
      const part = /^(?:\.\/)?(index\.json|oci-layout|blobs\/sha256\/[a-f0-9]{64})$/u.exec(name)?.[1];
      if (part === undefined || type !== "file") {
        if (!found && !/^(?:\.\/)?(blobs\/|$)/u.test(name)) return false; // it begins as a root does
        entry.resume();
        continue;
      }
      found = true;
      await mkdir(join(folder, "blobs", "sha256"), { recursive: true, mode: 0o700 });
      await pipeline(entry, createWriteStream(join(folder, part), { mode: 0o600 }));
    }
    return found;
  } catch (cause) {
    throw diskFailure(cause, folder) ?? new Failure("bad-image", "the image cannot be read", { cause });
  }
}

async function readImage(path: string): Promise<Image | undefined> {
  const text = await readFile(join(path, "image.json"), "utf8").catch(() => undefined); // not unpacked
  return text === undefined ? undefined : { ...(JSON.parse(text) as Omit<Image, "root">), root: join(path, "root") };
}
