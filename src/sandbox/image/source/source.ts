/** An image on this machine, ready to be sent: its list of parts, and where each of them lies. */

import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { Failure } from "../../../core/index.ts";
import type { PushRequest } from "../contract.ts";
import { type Manifest, partsOf, readManifest } from "../manifest.ts";
import { engineArchive, type EngineSourceDeps } from "./engine.ts";
import { readLayoutFolder } from "./layout.ts";
import { type Loose, openArchive } from "./archive.ts";

export interface ImageSource {
  readonly manifest: Manifest;
  /** What it calls itself, where it does. */
  readonly name: string | undefined;
  /** By digest. */
  readonly paths: ReadonlyMap<string, string>;
}

export interface OpenSourceDeps extends EngineSourceDeps {
  /** Where parts that come in an archive are laid out; removed by whoever made it. */
  readonly folder: string;
}

/** @throws {Failure} not-found, bad-image, too-large, disk-full, runtime-failed, not-supported */
export async function openSource(
  deps: OpenSourceDeps,
  source: PushRequest["source"],
  signal: AbortSignal,
): Promise<ImageSource> {
  const loose = await find(deps, source, signal);
  const manifest = readManifest(loose.manifest);
  for (const { digest, size } of partsOf(manifest)) {
    const path = loose.paths.get(digest);
    const found = path === undefined ? undefined : await stat(path).catch(() => undefined); // said below
    if (found?.size !== size)
      throw new Failure("bad-image", `a part of the image is missing here: ${digest}`, {
        hint: "save it again, with all of its layers",
      });
  }
  return { manifest, name: loose.name, paths: loose.paths };
}

async function find(deps: OpenSourceDeps, source: PushRequest["source"], signal: AbortSignal): Promise<Loose> {
  const { folder, note } = deps;
  if (source.kind === "engine") {
    await using archive = await engineArchive(deps, source.reference, signal);
    const loose = await openArchive({ content: archive.content, path: undefined, folder, note }, signal);
    return { ...loose, name: source.reference };
  }
  const { path } = source;
  const found = await stat(path).catch(() => undefined); // said below
  if (found?.isDirectory() === true) return await readLayoutFolder(path);
  if (found?.isFile() !== true)
    throw new Failure("not-found", `there is no file or folder "${path}"`, {
      hint: "name an image of this machine's engine, an OCI layout, or an archive",
    });
  return await openArchive({ content: createReadStream(path), path, folder, note }, signal);
}
