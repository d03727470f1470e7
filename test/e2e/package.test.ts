import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cp, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { promisify } from "node:util";

const execute = promisify(execFile);
const root = join(import.meta.dirname, "..", "..");

describe("the npm package", { timeout: 240_000 }, () => {
  test("installs into an empty folder and brings p2prc, without a shell, and the client", async () => {
    await using place = await temporaryFolder();
    const packed = await pack(place.path);
    const app = join(place.path, "app");
    await execute("npm", ["install", "--prefix", app, "--prefer-offline", "--ignore-scripts", "--no-audit", packed]);

    const installed = join(app, "node_modules", "p2prc");
    const { version, bin } = JSON.parse(await readFile(join(installed, "package.json"), "utf8")) as Manifest;
    const program = join(installed, bin.p2prc);
    assert.match(await readFile(program, "utf8"), /^#!\/usr\/bin\/env node\n/);
    const { stdout } = await execute(process.execPath, [program, "--version"], { env: { HOME: app } });
    assert.ok(stdout.includes(version), stdout);
    const linked = await execute(join(app, "node_modules", ".bin", "p2prc"), ["--version"], {
      env: { HOME: app, PATH: `${join(process.execPath, "..")}:/usr/bin:/bin` },
    });
    assert.equal(linked.stdout, stdout);

    await writeFile(join(app, "try.mjs"), 'console.log(Object.keys(await import("p2prc")).length > 0);\n');
    assert.equal((await execute(process.execPath, [join(app, "try.mjs")])).stdout, "true\n");
    const files = await readdir(installed, { recursive: true });
    assert.ok(files.includes("dist/client/index.d.ts"));
    assert.deepEqual(
      files.filter((file) => /\.test\.|(?<!\.d)\.ts$/.test(file)),
      [],
    );
  });
});

interface Manifest {
  readonly version: string;
  readonly bin: { readonly p2prc: string };
}

/** Builds and packs a copy of the tree. @returns the archive */
async function pack(place: string): Promise<string> {
  const tree = join(place, "tree");
  for (const part of [
    "src",
    "package.json",
    "tsconfig.json",
    "tsconfig.build.json",
    "LICENSE",
    "CHANGELOG.md",
    "SECURITY.md",
  ]) {
    await cp(join(root, part), join(tree, part), { recursive: true });
  }
  await symlink(join(root, "node_modules"), join(tree, "node_modules"));
  // .npmrc turns scripts off for what is installed; here it is our own that builds.
  const { stdout } = await execute("npm", ["pack", "--no-ignore-scripts", "--silent", "--pack-destination", place], {
    cwd: tree,
  });
  return join(place, stdout.trim().split("\n").at(-1) ?? "");
}

async function temporaryFolder(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), "p2prc-package-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}
