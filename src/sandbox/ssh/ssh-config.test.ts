import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { chmod, mkdir, mkdtemp, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { promisify } from "node:util";
import type { SandboxId } from "../runtime/sandbox-id.ts";
import { installInclude, isIncluded, removeInclude } from "./include.ts";
import { formatKnownHosts, formatSshConfig, hostNamesOf, type SshBox } from "./ssh-config.ts";
import { SshFiles } from "./ssh-files.ts";

const run = promisify(execFile);
const hasSsh = await run("ssh", ["-V"]).then(
  () => true,
  () => false,
);
const skip = !hasSsh && "no ssh here";

const box: SshBox = {
  id: "abcdefghijklmnop" as SandboxId,
  name: "box",
  nodeName: "attic",
  user: "root",
  hostKey: `ssh-ed25519 ${"A".repeat(68)}`,
  port: 40_001,
};

describe("our part of ssh_config", () => {
  test("is read by ssh as it is meant, whatever the home is called", { skip }, async () => {
    await using lab = await Lab.open(`it's 100% \\ ok`);
    const said = await lab.ask("box.p2prc");
    assert.deepEqual(
      ["hostname", "port", "user", "hostkeyalias", "identitiesonly", "stricthostkeychecking", "forwardagent"].map(
        (key) => said.get(key),
      ),
      ["127.0.0.1", "40001", "root", "abcdefghijklmnop.p2prc", "yes", "true", "no"],
    );
    assert.equal(said.get("identityfile"), join(lab.home, "ssh_key").replaceAll("%", "%%"));
    assert.equal(said.get("port"), (await lab.ask("box.attic.p2prc")).get("port"));
  });

  test("is read where the home has a quote in its name too", { skip }, async () => {
    await using lab = await Lab.open('a "quoted" home');
    assert.equal((await lab.ask("box.p2prc")).get("port"), "40001");
  });

  test("starts the daemon where it does not run, and only there", { skip }, async () => {
    await using lab = await Lab.open("plain");
    assert.match(
      (await lab.ask("box.p2prc")).get("proxycommand") ?? "",
      /p2prc ssh-proxy --home \S+\/plain (?:box\.p2prc|%n)$/,
    );
    const server = createServer().listen(join(lab.home, "daemon.sock"));
    await new Promise((resolve) => server.once("listening", resolve));
    assert.equal((await lab.ask("box.p2prc")).get("proxycommand"), undefined);
    server.close();
  });

  test("does not look whether the daemon runs for whoever knows the address already", { skip }, async () => {
    await using lab = await Lab.open("plain");
    await lab.writeOwn(`Host *.p2prc\n  HostName 127.0.0.1\nMatch all\nInclude ${lab.config}\n`);
    const said = await lab.ask("box.p2prc", lab.own);
    assert.equal(said.get("proxycommand"), undefined);
    assert.equal(said.get("port"), (await lab.ask("box.p2prc")).get("port"));
  });

  test("says nothing of other hosts", { skip }, async () => {
    await using lab = await Lab.open("plain");
    const said = await lab.ask("example.org");
    assert.equal(said.get("hostname"), "example.org");
    assert.notEqual(said.get("stricthostkeychecking"), "true");
  });

  test("leaves multiplexing out where the path of its socket would be too long, and on Windows", () => {
    const places = {
      home: "/h",
      runtime: "/h",
      socket: "/h/s",
      clientKey: "/h/k",
      knownHosts: "/h/kh",
      program: ["p2prc"],
    };
    assert.match(formatSshConfig([box], { ...places, platform: "linux" }), /ControlMaster auto/);
    const long = `/${"x".repeat(80)}`;
    assert.doesNotMatch(formatSshConfig([box], { ...places, platform: "linux", runtime: long }), /Control/);
    assert.doesNotMatch(formatSshConfig([box], { ...places, platform: "win32" }), /Control|test !/);
  });

  test("names a sandbox with its node only where that is a host name", () => {
    const alias = "abcdefghijklmnop.p2prc";
    assert.deepEqual(hostNamesOf({ ...box, nodeName: "attic" }), ["box.p2prc", "box.attic.p2prc", alias]);
    assert.deepEqual(hostNamesOf({ ...box, nodeName: "my attic" }), ["box.p2prc", alias]);
    assert.deepEqual(hostNamesOf({ ...box, nodeName: "*" }), ["box.p2prc", alias]);
  });

  test("pins each key under the name of its sandbox", () => {
    assert.equal(formatKnownHosts([box]), `abcdefghijklmnop.p2prc ${box.hostKey}\n`);
    assert.equal(formatKnownHosts([]), "");
  });
});

describe("the line in a person's own configuration", () => {
  test("comes first, once, and goes again without a trace", async () => {
    await using lab = await Lab.open("plain");
    const before = "Host example\n  User me\n";
    await lab.writeOwn(before);
    await chmod(lab.own, 0o644);
    assert.deepEqual(
      [await installInclude(lab), await installInclude(lab), await isIncluded(lab)],
      [true, false, true],
    );
    assert.equal(await readFile(lab.own, "utf8"), `Include "${lab.config}"\n${before}`);
    assert.equal((await stat(lab.own)).mode & 0o777, 0o644);
    assert.deepEqual([await removeInclude(lab), await removeInclude(lab), await isIncluded(lab)], [true, false, false]);
    assert.equal(await readFile(lab.own, "utf8"), before);
  });

  test("makes the folder and the file where there is none, for oneself alone", async () => {
    await using lab = await Lab.open("plain");
    assert.equal(await installInclude(lab), true);
    assert.equal((await stat(lab.own)).mode & 0o777, 0o600);
    assert.equal((await stat(join(lab.userHome, ".ssh"))).mode & 0o777, 0o700);
  });

  test("is moved back to the top when it slipped into somebody's block", async () => {
    await using lab = await Lab.open("plain");
    await lab.writeOwn(`Host example\nInclude "${lab.config}"\n  User me\n`);
    assert.equal(await installInclude(lab), true);
    assert.equal(await readFile(lab.own, "utf8"), `Include "${lab.config}"\nHost example\n  User me\n`);
  });

  test("keeps a configuration that is a link to elsewhere a link", async () => {
    await using lab = await Lab.open("plain");
    const elsewhere = join(lab.userHome, "dotfiles");
    await writeFile(elsewhere, "User me\n");
    await mkdir(join(lab.userHome, ".ssh"));
    await symlink(elsewhere, lab.own);
    await installInclude(lab);
    assert.equal(await readFile(elsewhere, "utf8"), `Include "${lab.config}"\nUser me\n`);
  });
});

class Lab implements AsyncDisposable {
  readonly userHome: string;
  readonly home: string;
  readonly config: string;
  readonly own: string;

  static async open(name: string): Promise<Lab> {
    const lab = new Lab(await mkdtemp(join(tmpdir(), "p2prc-ssh-")), name);
    await mkdir(lab.home);
    const { home } = lab;
    const files = new SshFiles({
      home,
      runtime: home,
      socket: join(home, "daemon.sock"),
      clientKey: join(home, "ssh_key"),
      program: ["/usr/bin/p2prc"],
      platform: "linux",
    });
    await Promise.all([files.write([]), files.write([box])]);
    return lab;
  }

  private constructor(userHome: string, name: string) {
    this.userHome = userHome;
    this.home = join(userHome, name);
    this.config = SshFiles.configIn(this.home);
    this.own = join(userHome, ".ssh", "config");
  }

  async writeOwn(text: string): Promise<void> {
    await mkdir(join(this.userHome, ".ssh"));
    await writeFile(this.own, text);
  }

  /** What `ssh` would do for a host. */
  async ask(host: string, config = this.config): Promise<ReadonlyMap<string, string>> {
    const { stdout } = await run("ssh", ["-G", "-F", config, host]);
    return new Map(
      stdout.split("\n").map((line) => [line.slice(0, line.indexOf(" ")), line.slice(line.indexOf(" ") + 1)]),
    );
  }

  [Symbol.asyncDispose](): Promise<void> {
    return rm(this.userHome, { recursive: true, force: true });
  }
}
