/**
 * The helper, brought to an engine: an image made from its folder, and a volume filled from that image once.
 *
 * The volume is mounted read-only in each sandbox, and no path of the host ever is. Companions run from the image itself. A
 * volume that was being filled when we or the engine died is known by its container, which has not ended well, and made anew.
 */

import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { lstat, readdir, readFile, readlink } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { Failure } from "../../../core/index.ts";
import { HELPER_PATH } from "../../helper/open-helper.ts";
import { type Engine, engineFailure, unless } from "./engine.ts";
import { readProgress } from "./progress-lines.ts";
import { findPrograms, type ProgramFile } from "./programs.ts";
import { labels } from "./words.ts";

/** What the resident needs, on this machine's disk (`src/sandbox/helper`). */
export interface HelperFolder {
  readonly path: string;
  /** Another one, another folder. */
  readonly digest: string;
}

export interface EngineHelper {
  readonly image: string;
  readonly volume: string;
  /** Whether `nft` is in it, without which no sandbox has a network. */
  readonly filters: boolean;
}

const REPOSITORY = "p2prc/helper";
const PROGRAMS = ["sh", "sleep", "nft"];

/** @throws {Failure} runtime-failed, disk-full */
export async function prepareHelper(engine: Engine, helper: HelperFolder, signal: AbortSignal): Promise<EngineHelper> {
  const programs = await findPrograms(PROGRAMS, process.env["PATH"], signal);
  const digest = await digestOf(helper.digest, programs);
  const image = `${REPOSITORY}:${digest}`;
  const volume = `p2prc-helper-${digest}`;
  try {
    await importImage(engine, { helper, programs, image }, signal);
    await fillVolume(engine, { image, volume, name: `p2prc-fill-${digest}` }, signal);
  } catch (error) {
    throw engineFailure(error, "take the helper in");
  }
  return { image, volume, filters: programs.some(({ to }) => to === "bin/nft") };
}

async function digestOf(helper: string, programs: readonly ProgramFile[]): Promise<string> {
  const hash = createHash("sha256").update(helper);
  for (const { from, to } of programs) hash.update(`\n${to}\n`).update(await readFile(from));
  return hash.digest("hex").slice(0, 16);
}

interface ImageParts {
  readonly helper: HelperFolder;
  readonly programs: readonly ProgramFile[];
  readonly image: string;
}

async function importImage(engine: Engine, parts: ImageParts, signal: AbortSignal): Promise<void> {
  const there = await unless(
    404,
    undefined,
    engine.ask({ method: "GET", path: `/images/${parts.image}/json` }, signal),
  );
  if (there !== undefined) return;
  // Podman before 4.6 passes over `tag` here; a tag within `repo` is taken by all.
  const query = { fromSrc: "-", repo: parts.image, changes: `LABEL ${labels.role}=helper` };
  const tar = await packHelper(parts, signal);
  const answer = await engine.stream({ method: "POST", path: "/images/create", query }, signal, tar);
  await readProgress(answer, () => {}, signal);
}

interface VolumeParts {
  readonly image: string;
  readonly volume: string;
  readonly name: string;
}

interface Inspected {
  readonly State: { readonly Status: string; readonly ExitCode: number };
}

async function fillVolume(engine: Engine, { image, volume, name }: VolumeParts, signal: AbortSignal): Promise<void> {
  const path = `/containers/${name}`;
  const call = { method: "GET", path: `${path}/json` } as const;
  const before = await unless(404, undefined, engine.ask<Inspected>(call, signal));
  if (before?.State.Status === "exited" && before.State.ExitCode === 0) return;
  await unless(404, undefined, engine.ask({ method: "DELETE", path, query: { force: true } }, signal));
  // In use: it was good when the first sandbox began to use it.
  const removed = unless(404, undefined, engine.ask({ method: "DELETE", path: `/volumes/${volume}` }, signal));
  await unless(409, undefined, removed);
  const loader = [`${HELPER_PATH}/lib/ld.so`, "--library-path", `${HELPER_PATH}/lib`, `${HELPER_PATH}/bin/node`];
  const body = {
    Image: image,
    Entrypoint: [...loader, "--version"],
    Labels: { [labels.role]: "helper" },
    HostConfig: {
      NetworkMode: "none",
      Mounts: [{ Type: "volume", Source: volume, Target: HELPER_PATH }],
      LogConfig: { Type: "json-file", Config: { "max-size": "1m", "max-file": "1" } },
    },
  };
  await engine.ask({ method: "POST", path: "/containers/create", query: { name }, body }, signal);
  await engine.ask({ method: "POST", path: `${path}/start` }, signal);
  const { StatusCode } = await engine.ask<{ StatusCode: number }>({ method: "POST", path: `${path}/wait` }, signal);
  if (StatusCode === 0) return;
  throw new Failure("runtime-failed", `this machine's Node does not run in a container: exit code ${StatusCode}`, {
    hint: "is the engine on this machine, and of the same architecture?",
  });
}

interface Entry {
  readonly name: string;
  readonly from: string;
}

/** The image as a tar, written while it is read. */
async function packHelper({ helper, programs }: ImageParts, signal: AbortSignal): Promise<Readable> {
  const { pack } = await import("tar-stream");
  const tar = pack();
  const root = HELPER_PATH.slice(1);
  const entries: Entry[] = [
    ...(await listFiles(helper.path)).map((path) => ({ name: `${root}/${path}`, from: join(helper.path, path) })),
    ...programs.map(({ from, to }) => ({ name: `${root}/engine/${to}`, from })),
  ];
  const write = async () => {
    for (const { name, from } of entries) {
      const stat = await lstat(from);
      if (stat.isSymbolicLink()) {
        tar.entry({ name, type: "symlink", linkname: await readlink(from) });
        continue;
      }
      const mode = (stat.mode & 0o100) === 0 ? 0o644 : 0o755;
      await pipeline(createReadStream(from), tar.entry({ name, size: stat.size, mode }), { signal });
    }
    tar.finalize();
  };
  write().catch((error: unknown) => tar.destroy(error as Error));
  return Readable.from(tar);
}

async function listFiles(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => !entry.isDirectory())
    .map(({ parentPath, name }) => join(parentPath, name).slice(folder.length + 1))
    .sort();
}
