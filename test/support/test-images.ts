/**
 * Images for tests, since no registry is asked: a Debian made by `debootstrap`, and a single static busybox.
 *
 * Both are made once and kept between runs. What cannot be made here is a reason to skip, loudly.
 */

import { execFile } from "node:child_process";
import { access, chmod, copyFile, mkdir, mkdtemp, readdir, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { promisify } from "node:util";
import { pack } from "tar-stream";
import { readFile } from "node:fs/promises";

const run = promisify(execFile);
/** debootstrap fetches 60 MB and unpacks them: 80 s where two cores are shared. */
const MAKE_MS = 280_000;
const kept = join(tmpdir(), "p2prc-test-images");

/** A tar of a minimal Debian 12 with python3. @throws where there is no debootstrap, no root or no mirror */
export async function debianTar(): Promise<string> {
  return await keptFile("bookworm.tar", async (folder, made) => {
    const root = join(folder, "root");
    await run("debootstrap", ["--variant=minbase", "--include=python3-minimal", "bookworm", root], {
      timeout: MAKE_MS,
      maxBuffer: 2 ** 26,
    });
    await run("tar", ["-C", root, "-cf", made, "--numeric-owner", "--exclude=./var/cache/apt/archives/*.deb", "."]);
  });
}

/** A static busybox. @throws where none is installed and the mirror gives none */
export async function busyboxFile(): Promise<string> {
  return await keptFile("busybox", async (folder, made) => {
    await run("apt-get", ["download", "busybox-static"], { cwd: folder, timeout: MAKE_MS });
    const [archive = ""] = (await readdir(folder)).filter((name) => name.endsWith(".deb"));
    await run("dpkg", ["-x", join(folder, archive), join(folder, "unpacked")]);
    await copyFile(join(folder, "unpacked/bin/busybox"), made);
    await chmod(made, 0o755);
  });
}

/** An image with nothing but busybox: no library, no /etc, no /tmp. `commands` are links to it. */
export async function busyboxTar(commands: readonly string[]): Promise<Readable> {
  const tar = pack();
  tar.entry({ name: "bin/busybox", mode: 0o755 }, await readFile(await busyboxFile()));
  for (const command of commands) tar.entry({ name: `bin/${command}`, type: "symlink", linkname: "busybox" });
  tar.finalize();
  return tar as unknown as Readable;
}

async function keptFile(name: string, make: (folder: string, made: string) => Promise<void>): Promise<string> {
  const path = join(kept, name);
  const there = await access(path).then(
    () => true,
    () => false,
  );
  if (there) return path;
  await mkdir(kept, { recursive: true });
  const folder = await mkdtemp(join(kept, "making-"));
  try {
    const made = join(folder, name);
    await make(folder, made);
    await rename(made, path);
    return path;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
