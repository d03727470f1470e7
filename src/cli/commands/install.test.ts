import assert from "node:assert/strict";
import { lstat, mkdir, mkdtemp, readdir, readFile, readlink, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { describe, test } from "node:test";
import { CliLab, type LabOptions } from "../../../test/support/cli-lab.ts";
import { systemdUnit } from "../install-plan.ts";
import type { Ran } from "../machine.ts";

const fine: Ran = { code: 0, stdout: "", stderr: "" };
const missing: Ran = { code: 127, stdout: "", stderr: "" };

const written = [
  ".config/fish/completions/p2prc.fish",
  ".config/systemd/user/p2prc.service",
  ".local/bin/p2prc",
  ".local/share/bash-completion/completions/p2prc",
  ".local/share/zsh/site-functions/_p2prc",
  ".zshrc",
];

describe("p2prc install", () => {
  test("puts each thing where it belongs, and shows it before", async () => {
    await using user = await User.make();
    const { exit, out, err } = await user.p2prc("install", "--yes");
    assert.equal(exit, 0);
    assert.deepEqual(await user.files(), written);
    assert.equal(await readlink(join(user.folder, ".local/bin/p2prc")), "/opt/p2prc/p2prc");
    for (const path of written) assert.ok(err.join("\n").includes(path), path);
    assert.equal(out[0], "installed; `p2prc uninstall` takes it back");
    assert.deepEqual(
      user.lab.ran.filter((line) => !line.startsWith("which")),
      [
        "systemctl --user daemon-reload",
        "systemctl --user enable --now p2prc.service",
        "loginctl show-user self --property=Linger --value",
        "loginctl enable-linger",
      ],
    );
  });

  test("starts the daemon of its home, in words that systemd reads as they were meant", async () => {
    await using user = await User.make();
    await user.p2prc("install", "--yes", "--home", join(user.folder, "a 100% $b"));
    const unit = await readFile(join(user.folder, ".config/systemd/user/p2prc.service"), "utf8");
    assert.ok(unit.includes(`ExecStart=/opt/p2prc/p2prc serve --home "${user.folder}/a 100%% $$b"\n`), unit);
  });

  test("writes the same settings as the example does", async () => {
    const settings = (unit: string) =>
      unit.split("\n").filter((line) => /^\w+=/.test(line) && !line.startsWith("ExecStart="));
    const example = await readFile(new URL("../../../examples/p2prc.service", import.meta.url), "utf8");
    assert.deepEqual(
      settings(systemdUnit({ bin: "/opt/p2prc/src/cli/bin.ts" }, "/home/ada/.p2prc")),
      settings(example),
    );
  });

  test("is the same twice as once", async () => {
    await using user = await User.make();
    await user.p2prc("install", "--yes");
    const before = await user.contents();
    const { out } = await user.p2prc("install", "--yes", "--json");
    assert.deepEqual(await user.contents(), before);
    assert.equal(JSON.parse(out[0] ?? "").kept.length, written.length);
  });

  test("asks, and writes nothing when the answer is no or nobody is there", async () => {
    for (const answers of [["n"], []]) {
      await using user = await User.make({ answers });
      assert.equal((await user.p2prc("install")).exit, 6);
      assert.deepEqual(await user.files(), []);
    }
    await using user = await User.make({ answers: ["y"] });
    assert.equal((await user.p2prc("install")).exit, 0);
  });

  test("touches nothing that somebody else put there", async () => {
    await using user = await User.make();
    await user.put(".local/bin/p2prc", "another program");
    const { exit, err } = await user.p2prc("install", "--yes");
    assert.equal(exit, 8);
    assert.match(err[0] ?? "", /is there already, and p2prc did not put it there/);
    assert.deepEqual(await user.files(), [".local/bin/p2prc"]);
  });

  test("leaves out shells that are not there, and the service when it is not wanted", async () => {
    await using user = await User.make({
      run: (command, args) => (command === "which" && args[0] !== "bash" ? missing : fine),
    });
    await user.p2prc("install", "--yes", "--no-service");
    assert.deepEqual(await user.files(), [".local/bin/p2prc", ".local/share/bash-completion/completions/p2prc"]);
  });

  test("prints the commands for what it may not do itself", async () => {
    await using user = await User.make({
      run: (command) => (command.endsWith("ctl") ? { ...fine, code: 1 } : fine),
      environment: { USER: "ada" },
    });
    const { exit, out } = await user.p2prc("install", "--yes");
    assert.equal(exit, 0);
    assert.deepEqual(out.slice(1, 3), [
      "left to you:  systemctl --user enable --now p2prc.service",
      "left to you:  sudo loginctl enable-linger ada",
    ]);
  });

  test("is a launchd agent on macOS", async () => {
    await using user = await User.make({ platform: "darwin" });
    await user.p2prc("install", "--yes");
    const agent = await readFile(join(user.folder, "Library/LaunchAgents/p2prc.node.plist"), "utf8");
    assert.match(agent, /<string>\/opt\/p2prc\/p2prc<\/string>\n {4}<string>serve<\/string>/);
  });

  test("says what to do on Windows", async () => {
    await using user = await User.make({ platform: "win32" });
    const { exit, err } = await user.p2prc("install", "--yes");
    assert.equal(exit, 5);
    assert.match(err[1] ?? "", /Task Scheduler/);
  });
});

describe("p2prc uninstall", () => {
  test("leaves the user's folder as it was before install", async () => {
    await using user = await User.make();
    await user.put(".zshrc", "alias ll='ls -l'\n");
    await user.put(".config/fish/config.fish", "");
    const before = await user.contents();
    await user.p2prc("install", "--yes");
    assert.match(
      await readFile(join(user.folder, ".zshrc"), "utf8"),
      /^alias ll='ls -l'\n\[ -r .*# added by p2prc install\n$/,
    );
    const { exit, out } = await user.p2prc("uninstall", "--yes");
    assert.deepEqual([exit, out], [0, ["uninstalled: nothing of it is left"]]);
    assert.deepEqual(await user.contents(), before);
    assert.ok(user.lab.ran.includes("systemctl --user disable --now p2prc.service"));
    assert.ok(user.lab.ran.includes("loginctl disable-linger"));
  });

  test("leaves lingering on where it was on before", async () => {
    await using user = await User.make({
      run: (_command, args) => (args[0] === "show-user" ? { ...fine, stdout: "yes\n" } : fine),
    });
    await user.p2prc("install", "--yes");
    await user.p2prc("uninstall", "--yes");
    assert.ok(!user.lab.ran.some((line) => line.endsWith("-linger")));
  });

  test("keeps the node with --keep-home", async () => {
    await using user = await User.make();
    await user.put(".p2prc/key", "secret");
    await user.p2prc("install", "--yes");
    await user.p2prc("uninstall", "--yes", "--keep-home");
    assert.deepEqual(await user.files(), [".p2prc/key"]);
  });

  test("asks, and removes nothing when nobody is there", async () => {
    await using user = await User.make();
    await user.useHome(".p2prc");
    const before = await user.contents();
    assert.equal((await user.p2prc("uninstall")).exit, 6);
    assert.deepEqual(await user.contents(), before);
  });

  test("does not remove a folder that is no home of p2prc", async () => {
    await using user = await User.make();
    await user.put("documents/thesis.txt", "years");
    for (const home of ["documents", "."]) {
      assert.equal((await user.p2prc("uninstall", "--yes", "--home", join(user.folder, home))).exit, 5);
      assert.deepEqual(await user.files(), ["documents/thesis.txt"]);
    }
  });

  test("takes a file that is called key for no proof of a home", async () => {
    await using user = await User.make();
    await user.put("documents/key", "x");
    await user.put("documents/thesis.txt", "years");
    await user.put("documents/lock.sqlite", "");
    const { exit } = await user.p2prc("uninstall", "--yes", "--home", join(user.folder, "documents"));
    assert.equal(exit, 5);
    assert.deepEqual(await user.files(), ["documents/key", "documents/lock.sqlite", "documents/thesis.txt"]);
    assert.deepEqual(user.lab.stopped, []);
  });

  test("removes what it wrote in a home, and names what stays", async () => {
    await using user = await User.make();
    await user.useHome(".p2prc");
    await user.put(".p2prc/thesis.txt", "years");
    await user.put(".p2prc/cache/mine", "years too");
    const { exit, out, err } = await user.p2prc("uninstall", "--yes");
    assert.deepEqual([exit, out], [0, ["uninstalled"]]);
    assert.equal(err.at(-1), `not removed from ${user.folder}/.p2prc: cache, thesis.txt`);
    assert.deepEqual(await user.files(), [".p2prc/cache/mine", ".p2prc/thesis.txt"]);
  });

  test("removes a home that was used, with the folder", async () => {
    await using user = await User.make();
    await user.useHome(".p2prc");
    const { out } = await user.p2prc("uninstall", "--yes", "--json");
    assert.deepEqual(JSON.parse(out[0] ?? ""), {
      removed: [],
      home: join(user.folder, ".p2prc"),
      homeRemoved: true,
      left: [],
    });
    assert.deepEqual(await user.contents(), {});
  });

  test("ends the sandboxes of guests before it removes their folders", async () => {
    await using user = await User.make({
      routes: {
        "POST /v1/lend": { value: { lends: false } },
        "GET /v1/guests": { value: { sandboxes: [{ sandbox: { id: "one" } }, { sandbox: { id: "two" } }] } },
        "POST /v1/guests/one/kick": { value: {} },
        "POST /v1/guests/two/kick": { value: {} },
      },
    });
    await user.useHome(".p2prc");
    await user.p2prc("uninstall", "--yes");
    assert.deepEqual(
      user.lab.asked.map(({ route }) => route),
      ["POST /v1/lend", "GET /v1/guests", "POST /v1/guests/one/kick", "POST /v1/guests/two/kick"],
    );
    assert.deepEqual(await user.contents(), {});
  });

  test("says so when it could not end them, and goes on", async () => {
    await using user = await User.make();
    await user.useHome(".p2prc");
    const { exit, err } = await user.p2prc("uninstall", "--yes");
    assert.equal(exit, 0);
    assert.match(err.join("\n"), /sandboxes of guests may still run here/);
    assert.deepEqual(await user.contents(), {});
  });

  test("takes back what was noted before a step was cut short", async () => {
    await using user = await User.make();
    await user.p2prc("install", "--yes");
    await rm(join(user.folder, ".local/bin/p2prc"));
    await symlink("/elsewhere", join(user.folder, ".local/bin/p2prc")); // somebody's own by now
    await user.p2prc("uninstall", "--yes");
    assert.deepEqual(await user.files(), [".local/bin/p2prc"]);
  });

  test("leaves a completion file that somebody changed", async () => {
    await using user = await User.make();
    await user.p2prc("install", "--yes");
    await user.put(".local/share/bash-completion/completions/p2prc", "my own");
    await user.p2prc("uninstall", "--yes");
    assert.deepEqual(await user.files(), [".local/share/bash-completion/completions/p2prc"]);
  });

  test("replaces what a linked .zshrc leads to in one step, and keeps the link", async () => {
    await using user = await User.make();
    await user.put("dotfiles/zshrc", "alias ll='ls -l'\n");
    await symlink("dotfiles/zshrc", join(user.folder, ".zshrc"));
    const before = await lstat(join(user.folder, "dotfiles/zshrc"));
    await user.p2prc("install", "--yes");
    assert.equal(await readlink(join(user.folder, ".zshrc")), "dotfiles/zshrc");
    assert.match(await readFile(join(user.folder, "dotfiles/zshrc"), "utf8"), /added by p2prc install/);
    assert.notEqual((await lstat(join(user.folder, "dotfiles/zshrc"))).ino, before.ino);
    await user.p2prc("uninstall", "--yes");
    assert.deepEqual(await user.files(), [".zshrc", "dotfiles/zshrc"]);
    assert.equal(await readFile(join(user.folder, "dotfiles/zshrc"), "utf8"), "alias ll='ls -l'\n");
  });

  test("says so when the list of what was installed cannot be read", async () => {
    await using user = await User.make();
    await user.put(".p2prc/installed.json", '{"v":1,"ste');
    const { exit, err } = await user.p2prc("uninstall", "--yes");
    assert.equal(exit, 5);
    assert.match(err[0] ?? "", /cannot be read/);
  });
});

/** A user with a folder of their own. */
class User implements AsyncDisposable {
  readonly folder: string;
  readonly lab: CliLab;

  static async make(options: LabOptions = {}): Promise<User> {
    return new User(await mkdtemp(join(tmpdir(), "p2prc-user-")), options);
  }

  private constructor(folder: string, options: LabOptions) {
    this.folder = folder;
    this.lab = new CliLab({ ...options, userFolder: folder });
  }

  p2prc(...words: string[]) {
    return this.lab.p2prc(...words);
  }

  async put(path: string, content: string): Promise<void> {
    await mkdir(join(this.folder, path, ".."), { recursive: true });
    await writeFile(join(this.folder, path), content);
  }

  /** As a node leaves it, in short. */
  async useHome(home: string): Promise<void> {
    for (const name of ["state.sqlite", "lock.sqlite", "log", "ssh_config", "run/seccomp", "cache/v24.1.0-x64-0/a"])
      await this.put(join(home, name), "");
    await this.put(join(home, "key"), "k".repeat(32));
  }

  /** All that is there but the list of what was installed. */
  async files(): Promise<string[]> {
    const entries = await readdir(this.folder, { recursive: true, withFileTypes: true });
    const paths = entries
      .filter((entry) => !entry.isDirectory())
      .map((entry) => relative(this.folder, join(entry.parentPath, entry.name)));
    return paths.filter((path) => path !== ".p2prc/installed.json").sort();
  }

  /** Folders too, and what is in the files. */
  async contents(): Promise<Record<string, string>> {
    const entries = await readdir(this.folder, { recursive: true });
    const pairs = entries.sort().map(async (path): Promise<[string, string]> => {
      const found = await lstat(join(this.folder, path));
      if (found.isDirectory()) return [path, "a folder"];
      return [
        path,
        found.isSymbolicLink()
          ? await readlink(join(this.folder, path))
          : await readFile(join(this.folder, path), "utf8"),
      ];
    });
    return Object.fromEntries(await Promise.all(pairs));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }
}
