/**
 * Images for tests, since no registry is asked: Debians made by `debootstrap`, and a single static busybox.
 *
 * All are made once and kept, until a whole `./check` has ended. What cannot be made here is a reason to skip, loudly.
 */

import { execFile } from "node:child_process";
import { access, chmod, copyFile, mkdir, mkdtemp, readdir, rename, rm, writeFile } from "node:fs/promises";
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

/** A few hundred megabytes. */
export async function removeTestImages(): Promise<void> {
  await rm(kept, { recursive: true, force: true });
}

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

/** A minimal Debian 12 without Python, and a mirror for its apt with what the plugins of tests install. */
export interface BareDebian {
  /** An archive of its root. */
  readonly tar: string;
  /** A flat repository: `Packages` and archives. */
  readonly mirror: string;
}

/** @throws where there is no debootstrap, no root or no mirror */
export async function bareDebian(packages: readonly string[]): Promise<BareDebian> {
  const folder = await keptFile("bare-bookworm", async (making, made) => {
    const root = join(making, "root");
    const options = {
      timeout: MAKE_MS,
      maxBuffer: 2 ** 26,
      env: { PATH: SYSTEM_PATH, DEBIAN_FRONTEND: "noninteractive" },
    };
    await run("debootstrap", ["--variant=minbase", "bookworm", root], options);
    const mirror = join(made, "mirror");
    await mkdir(mirror, { recursive: true });
    await run("tar", [
      "-C",
      root,
      "-cf",
      join(made, "bare.tar"),
      "--numeric-owner",
      "--exclude=./var/cache/apt/archives/*.deb",
      ".",
    ]);
    const install = ["apt-get", "-q", "install", "-y", "--download-only", "--no-install-recommends", ...packages];
    await run("chroot", [root, "apt-get", "clean"], options);
    await run("chroot", [root, ...install], options);
    const fetched = join(root, "var/cache/apt/archives");
    for (const name of (await readdir(fetched)).filter((one) => one.endsWith(".deb")))
      await copyFile(join(fetched, name), join(mirror, name));
    const { stdout } = await run("dpkg-scanpackages", ["--multiversion", "."], { ...options, cwd: mirror });
    await writeFile(join(mirror, "Packages"), stdout);
  });
  return { tar: join(folder, "bare.tar"), mirror: join(folder, "mirror") };
}

const SYSTEM_PATH = "/usr/sbin:/usr/bin:/sbin:/bin";

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
