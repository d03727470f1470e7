import assert from "node:assert/strict";
import { chmod, mkdir, mkdtemp, readdir, realpath, rm, stat, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, test } from "node:test";
import { type HomeDeps, openHome } from "./index.ts";

describe("a home", () => {
  test("is made for its user alone", async () => {
    await using lab = await Lab.open();
    const home = await openHome(join(lab.root, "a", "home"), lab.deps);
    assert.equal((await stat(home.path)).mode & 0o777, 0o700);
    assert.equal((await stat(home.run)).mode & 0o777, 0o700);
    assert.equal(home.socket, join(home.path, "socket"));
  });

  test("is refused when others may write in it, with the command that mends it", async () => {
    await using lab = await Lab.open();
    const path = await lab.folder("home", 0o770);
    await assert.rejects(openHome(path, lab.deps), { code: "home-unusable", hint: `run \`chmod 700 '${path}'\`` });
    await chmod(path, 0o702);
    await assert.rejects(openHome(path, lab.deps), { code: "home-unusable" });
  });

  test("is refused when it belongs to another user", async () => {
    await using lab = await Lab.open();
    const path = await lab.folder("home", 0o700);
    const uid = lab.deps.uid === undefined ? 0 : lab.deps.uid + 1;
    await assert.rejects(openHome(path, { ...lab.deps, uid }), { code: "home-unusable", message: /another user/ });
  });

  test("is closed to others when it was made by hand and is empty, and left alone when it is not", async () => {
    await using lab = await Lab.open();
    const path = await lab.folder("home", 0o755);
    await openHome(path, lab.deps);
    assert.equal((await stat(path)).mode & 0o777, 0o700);
    await chmod(path, 0o755);
    await openHome(path, lab.deps);
    assert.equal((await stat(path)).mode & 0o777, 0o755);
  });

  test("is refused when it is a file, or lies below one", async () => {
    await using lab = await Lab.open();
    await writeFile(join(lab.root, "file"), "");
    await assert.rejects(openHome(join(lab.root, "file"), lab.deps), { code: "home-unusable" });
    await assert.rejects(openHome(join(lab.root, "file", "home"), lab.deps), {
      code: "home-unusable",
      message: /ENOTDIR/,
    });
  });
});

describe("the socket of a home with a path of 200 characters", () => {
  test("lies in the runtime folder, and can be listened on", async () => {
    await using lab = await Lab.open();
    const home = await openHome(lab.longPath, lab.deps);
    assert.equal(dirname(home.socket), join(lab.deps.runtimeFolder ?? "", "p2prc"));
    assert.equal((await stat(dirname(home.socket))).mode & 0o777, 0o700);
    assert.ok(Buffer.byteLength(home.socket) <= 100);
    await listenOnce(home.socket);
  });

  test("lies in the folder for temporary files when there is no runtime folder", async () => {
    await using lab = await Lab.open();
    const home = await openHome(lab.longPath, { ...lab.deps, runtimeFolder: undefined });
    assert.equal(dirname(home.socket), join(lab.deps.tempFolder, `p2prc-${lab.deps.uid}`));
  });

  test("stays where it was chosen first, for callers with another environment too", async () => {
    await using lab = await Lab.open();
    const first = await openHome(lab.longPath, lab.deps);
    const second = await openHome(lab.longPath, { ...lab.deps, runtimeFolder: undefined });
    assert.equal(second.socket, first.socket);
  });

  test("is the same for many that open the home at the same time", async () => {
    await using lab = await Lab.open();
    const homes = await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        openHome(lab.longPath, i % 2 === 0 ? lab.deps : { ...lab.deps, runtimeFolder: undefined }),
      ),
    );
    assert.equal(new Set(homes.map((home) => home.socket)).size, 1);
  });

  test("moves when the runtime folder went away", async () => {
    await using lab = await Lab.open();
    await openHome(lab.longPath, lab.deps);
    await rm(lab.deps.runtimeFolder ?? "", { recursive: true });
    const home = await openHome(lab.longPath, lab.deps);
    assert.equal(dirname(home.socket), join(lab.deps.tempFolder, `p2prc-${lab.deps.uid}`));
  });

  test("is never put in a folder that somebody else could have made", async () => {
    await using lab = await Lab.open();
    const deps = { ...lab.deps, runtimeFolder: undefined };
    const folder = join(deps.tempFolder, `p2prc-${deps.uid}`);
    await lab.folder(folder, 0o755);
    await assert.rejects(openHome(lab.longPath, deps), { code: "home-unusable", message: /open to others/ });
    await rm(folder, { recursive: true });
    await symlink(lab.root, folder);
    await assert.rejects(openHome(lab.longPath, deps), { code: "home-unusable", message: /not a folder/ });
  });

  test("has another name for each home", async () => {
    await using lab = await Lab.open();
    const [one, two] = [await openHome(lab.longPath, lab.deps), await openHome(`${lab.longPath}2`, lab.deps)];
    assert.notEqual(one.socket, two.socket);
  });

  test("is a pipe on Windows, where modes and owners mean nothing", async () => {
    await using lab = await Lab.open();
    const path = await lab.folder("home", 0o777);
    const home = await openHome(path, { ...lab.deps, platform: "win32", uid: undefined });
    assert.match(home.socket, /^\\\\\.\\pipe\\p2prc-[0-9a-f]{16}$/);
    assert.deepEqual(await readdir(path), ["run"]);
  });
});

async function listenOnce(path: string): Promise<void> {
  const server = createServer();
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject).listen(path, resolve);
  await promise;
  await new Promise((done) => server.close(done));
}

/** A folder of its own, with places for sockets. */
class Lab implements AsyncDisposable {
  readonly root: string;
  readonly deps: HomeDeps;

  static async open(): Promise<Lab> {
    const lab = new Lab(await realpath(await mkdtemp(join(tmpdir(), "p2prc-store-"))));
    await lab.folder("run", 0o700);
    await lab.folder("tmp", 0o777);
    return lab;
  }

  private constructor(root: string) {
    this.root = root;
    this.deps = {
      platform: "linux",
      uid: process.getuid?.(),
      runtimeFolder: join(root, "run"),
      tempFolder: join(root, "tmp"),
    };
  }

  get longPath(): string {
    return join(this.root, "h".repeat(200 - this.root.length - 1));
  }

  async folder(name: string, mode: number): Promise<string> {
    const path = name.startsWith("/") ? name : join(this.root, name);
    await mkdir(path);
    await chmod(path, mode);
    return path;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return rm(this.root, { recursive: true, force: true });
  }
}
