/**
 * The first P2PRC's own plugin for VS Code, letter by letter, in a sandbox of a bare Debian without a Python: apt installs from
 * a mirror, and an installer comes from its own server. Both are on this machine; the sandbox has them through `ssh -R`.
 */

import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { createServer, get, type IncomingMessage, type OutgoingHttpHeaders, type Server } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { basename, join } from "node:path";
import { text } from "node:stream/consumers";
import { after, before, describe, test } from "node:test";
import { bubblewrapSkip } from "../support/bubblewrap-world.ts";
import { LendingLab, untilTrue } from "../support/lending-lab.ts";
import { type BareDebian, bareDebian } from "../support/test-images.ts";
import { shellRoot, tarOf } from "../support/tiny-image.ts";

const TOOLS = ["ansible-playbook", "ssh", "debootstrap", "dpkg-scanpackages", "openssl"];
const missing = TOOLS.filter((tool) => spawnSync("which", [tool]).status !== 0);
const notRoot = process.getuid?.() !== 0 && "only root makes a Debian here";
const lacking = bubblewrapSkip() || notRoot || (missing.length > 0 && `not installed: ${missing.join(", ")}`);
const debian = lacking === false ? await bareDebian(["python3", "python3-apt", "curl"]).catch(whyNone) : lacking;
const skip = typeof debian === "string" && debian;

/** As https://github.com/Akilan1999/p2prc-vscode-browser has it. */
const SITE = `---

- hosts: all

  tasks:
    - name: apt install curl
      apt:
        name: curl
        state: present
    - name: setup vscode code server
      shell: "curl -fsSL https://code-server.dev/install.sh | sh"
      become: true
      become_user: root
    - name: start vscode code server
      shell: code-server --auth none --bind-addr 0.0.0.0:{{index . 0}}
      async: 2592000               # 60*60*24*30 – 1 month (This will keep the following command running for a month
      poll: 0
`;

/** What stands for code-server's installer: a server with the same words. */
const INSTALLER = `cat > /usr/local/bin/code-server <<'END'
#!/bin/sh
test "$1 $2 $3" = "--auth none --bind-addr" || exit 9
mkdir -p /srv/www && echo "code-server at $4 as $(id -un)" > /srv/www/index.html
exec python3 -m http.server --bind "\${4%:*}" --directory /srv/www "\${4#*:}"
END
chmod 755 /usr/local/bin/code-server
`;

/** Where the two servers of this machine are found in the sandbox. */
const [MIRROR_PORT, INSTALLER_PORT] = [18_080, 18_443];
const CURLRC = `connect-to = "code-server.dev:443:127.0.0.1:${INSTALLER_PORT}"\ninsecure\n`;

describe("the first P2PRC's plugin in a bare Debian", { skip, timeout: 600_000 }, () => {
  let lab: AptLab;
  before(async () => {
    assert.ok(typeof debian === "object");
    lab = await AptLab.open(debian);
  });
  after(async () => await lab[Symbol.asyncDispose]());

  test("is refused where there is no way to the internet, and no Python either", async () => {
    const { exit, lines } = await lab.lending.barn("plugin", "run", "vscode-browser", "box");
    assert.equal(exit, 5);
    assert.match(lines.join("\n"), /cannot run on box: it has no way to the internet.*\n.*--network internet/u);
    const tiny = await lab.lending.barn("plugin", "run", "vscode-browser", "tiny", "--anyway");
    assert.notEqual(tiny.exit, 0);
  });

  test("says of an image without a Python and without apt what would fit", async () => {
    const { exit, lines } = await lab.lending.barn("plugin", "run", "hello", "tiny");
    assert.equal(exit, 5);
    assert.match(lines.join("\n"), /cannot run on tiny: it has no python3, which Ansible works with.*\n.*--image/u);
  });

  test("installs by apt, runs its installer, and leaves its server running", async () => {
    await using _way = await lab.wayBack("box");
    await lab.inside("box", `printf '%s' '${CURLRC}' > ~/.curlrc`);
    const sources = `deb [trusted=yes] http://127.0.0.1:${MIRROR_PORT}/ ./`;
    await lab.inside("box", `echo '${sources}' > /etc/apt/sources.list; ! command -v python3; ! command -v curl`);
    const checked = await lab.lending.barn("plugin", "run", "vscode-browser", "box", "--anyway", "--check");
    assert.match(checked.lines.join("\n"), /no python3 yet/u);

    const { exit, lines } = await lab.run("plugin", "run", "vscode-browser", "box", "--anyway");
    const said = lines.join("\n");
    assert.equal(exit, 0, said);
    assert.match(said, /^installing python3 on box/mu);
    assert.match(
      said,
      /^box .*✓ apt install curl {2}✓ setup vscode code server {2}✓ start vscode code server {3}http/mu,
    );
    assert.ok(
      lab.asked.some((path) => /^\/curl_.*\.deb$/u.test(path)),
      "the mirror gave it",
    );
    assert.match(await lab.inside("box", "dpkg --status curl"), /Status: install ok installed/u);
    const url = new URL(/http:\/\/\S+/u.exec(said)?.[0] ?? "");
    await untilTrue(async () => (await pageAt(url).catch(() => "")) !== "");
    assert.equal(await pageAt(url), "code-server at 0.0.0.0:20080 as root\n");
    // The connection that started it is not what holds it.
    lab.ssh("box", "-O", "exit");
    assert.match(await pageAt(url), /^code-server/u);
    assert.match(await lab.inside("box", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '"), /http\.server --bind 0\.0\.0\.0/u);
  });
});

class AptLab implements AsyncDisposable {
  readonly lending: LendingLab;
  /** Paths of the mirror. */
  readonly asked: string[] = [];
  readonly #mirror: Server;
  readonly #installer: Server;

  static async open(debian: BareDebian): Promise<AptLab> {
    const lending = await LendingLab.open();
    try {
      const lab = new AptLab(lending, debian);
      for (const server of [lab.#mirror, lab.#installer]) {
        server.listen(0, "127.0.0.1");
        await once(server, "listening");
      }
      await lab.#prepare(debian);
      return lab;
    } catch (error) {
      await lending[Symbol.asyncDispose]();
      throw error;
    }
  }

  private constructor(lending: LendingLab, { mirror }: BareDebian) {
    this.lending = lending;
    this.#mirror = createServer((request, response) => {
      const path = decodeURIComponent(new URL(request.url ?? "", "http://x").pathname);
      this.asked.push(path);
      readFile(join(mirror, basename(path))).then(
        (bytes) => response.end(bytes),
        () => response.writeHead(404).end(),
      );
    });
    const certificate = selfSigned(lending.machines.folder);
    this.#installer = createTlsServer(certificate, (request, response) => {
      const right = request.headers.host === "code-server.dev" && request.url === "/install.sh";
      response.writeHead(right ? 200 : 404).end(right ? INSTALLER : "");
    });
  }

  async #prepare({ tar }: BareDebian): Promise<void> {
    const images = join(this.lending.machines.homeOf("attic"), "images");
    await mkdir(images, { recursive: true });
    execFileSync("cp", ["--reflink=auto", tar, join(images, "bare.tar")]);
    await writeFile(join(images, "tiny.tar"), await tarOf(await shellRoot(new AbortController().signal)));
    for (const [name, image] of [
      ["box", "bare"],
      ["tiny", "tiny"],
    ] as const)
      await this.ok(
        "touch",
        "--near",
        "--name",
        name,
        "--image",
        image,
        "--profile",
        "dev",
        "--network",
        "none",
        "--disk",
        "2G",
      );
    await this.#plugin("vscode-browser", {
      "site.yml": SITE,
      "description.txt": "VSCode\n",
      "ports.json": '{"NumOfPorts": 1}\n',
    });
    await this.#plugin("hello", { "site.yml": "- hosts: all\n  tasks:\n    - ping:\n" });
  }

  async #plugin(name: string, files: Readonly<Record<string, string>>): Promise<void> {
    const folder = join(this.lending.machines.folder, name);
    await mkdir(folder);
    for (const [file, content] of Object.entries(files)) await writeFile(join(folder, file), content);
    await this.ok("plugin", "add", folder);
  }

  /** A command that may take longer than others do. */
  async run(...words: string[]) {
    return await (await this.lending.machines.start("barn", words, { maxMs: 300_000 })).ended;
  }

  async ok(...words: string[]): Promise<void> {
    const { exit, lines } = await this.run(...words);
    assert.equal(exit, 0, `${words.join(" ")}:\n${lines.join("\n")}`);
  }

  /** What a line of shell says in a sandbox. */
  async inside(box: string, line: string): Promise<string> {
    const { exit, lines } = await this.run("exec", box, "--", "sh", "-c", line);
    assert.equal(exit, 0, `${line}:\n${lines.join("\n")}`);
    return lines.join("\n");
  }

  /** Both servers in the sandbox, as long as it is held. */
  async wayBack(box: string): Promise<AsyncDisposable> {
    const ports = [
      [MIRROR_PORT, this.#mirror],
      [INSTALLER_PORT, this.#installer],
    ] as const;
    const words = ports.flatMap(([inside, server]) => {
      const { port } = server.address() as AddressInfo;
      return ["-R", `127.0.0.1:${inside}:127.0.0.1:${port}`];
    });
    const options = ["-o", "ExitOnForwardFailure=yes", "-o", "ControlPath=none"];
    const child: ChildProcess = spawn(
      "ssh",
      [...this.#sshWords(), ...options, ...words, `${box}.p2prc`, "echo there; cat"],
      {
        stdio: ["pipe", "pipe", "inherit"],
      },
    );
    assert.ok(child.stdout !== null);
    const [said] = (await once(child.stdout, "data")) as [Buffer];
    assert.equal(said.toString(), "there\n");
    return {
      [Symbol.asyncDispose]: async () => {
        child.kill();
        await once(child, "close");
      },
    };
  }

  ssh(box: string, ...words: string[]): void {
    spawnSync("ssh", [...this.#sshWords(), ...words, `${box}.p2prc`]);
  }

  #sshWords(): readonly string[] {
    return ["-F", join(this.lending.machines.homeOf("barn"), "ssh_config")];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const server of [this.#mirror, this.#installer]) {
      server.closeAllConnections();
      server.close();
    }
    await this.lending[Symbol.asyncDispose]();
  }
}

function whyNone(error: unknown): string {
  return `no Debian can be made here: ${String(error).slice(0, 300)}`;
}

function selfSigned(folder: string): { readonly key: Buffer; readonly cert: Buffer } {
  const [key, cert] = [join(folder, "tls.key"), join(folder, "tls.crt")];
  const words = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
  execFileSync("openssl", [...words, "-subj", "/CN=code-server.dev", "-keyout", key, "-out", cert], {
    stdio: "ignore",
  });
  return { key: execFileSync("cat", [key]), cert: execFileSync("cat", [cert]) };
}

/** What a browser shows: the URL has the token, for which it gets a cookie. */
async function pageAt(url: URL): Promise<string> {
  const welcome = await ask(url, url.pathname + url.search, {});
  const cookie = welcome.headers["set-cookie"]?.[0]?.split(";")[0];
  welcome.resume();
  const page = await ask(url, "/", cookie === undefined ? {} : { cookie });
  const words = await text(page);
  return page.statusCode === 200 ? words : "";
}

/** By the loopback, whatever its host is called: names below `localhost` are not known to every resolver. */
async function ask({ host, port }: URL, path: string, headers: OutgoingHttpHeaders): Promise<IncomingMessage> {
  const request = get({ host: "127.0.0.1", port, path, headers: { host, ...headers } });
  const [response] = (await once(request, "response")) as [IncomingMessage];
  return response;
}
