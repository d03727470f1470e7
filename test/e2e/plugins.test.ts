/** Plugins by the real ansible-playbook, on two real sandboxes of bubblewrap: two machines on this one. */

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { access, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { bubblewrapSkip } from "../support/bubblewrap-world.ts";
import { Machines, type Running, type Said } from "../support/machines.ts";

const missing = ["ansible-playbook", "ssh", "curl", "git"].filter((tool) => spawnSync("which", [tool]).status !== 0);
const skip = bubblewrapSkip() || (missing.length > 0 && `not installed: ${missing.join(", ")}`);

/** As the first P2PRC's own plugin for VS Code, but for what it fetches: the server of the installer is in the sandbox. */
const SEED = `---
- hosts: all
  tasks:
    - name: setup the server
      shell: "curl -fsSL http://127.0.0.1:18000/install.sh | sh"
      become: true
      become_user: root
    - name: start the server
      shell: sh /tmp/code-server {{index . 0}}
      async: 2592000               # 60*60*24*30 – 1 month
      poll: 0
    - name: ask the server
      shell: "sleep 1; curl -fsS http://127.0.0.1:{{index . 0}}/{{ file }}"
      vars: { file: code-server }
`;

const MANIFEST = {
  description: "Writes what it is told",
  parameters: { text: { type: "string" }, times: { type: "integer", default: 1 } },
};

describe("p2prc plugin", { skip, timeout: 480_000 }, () => {
  let lab: PluginLab;
  before(async () => {
    lab = await PluginLab.open();
  });
  after(async () => await lab[Symbol.asyncDispose]());

  test("runs the first P2PRC's form as it stands, on all of a group", async () => {
    const install = "echo 'cd /tmp && exec python3 -m http.server $1' > /tmp/code-server";
    const server = `mkdir -p /tmp/www; echo "${install.replaceAll("$", "\\$")}" > /tmp/www/install.sh; cd /tmp/www; nohup python3 -m http.server 18000 >/dev/null 2>&1 & sleep 1`;
    await lab.ok("exec", "farm", "--", "sh", "-c", server);
    const folder = await lab.plugin("p2prc-code", {
      "site.yml": SEED,
      "description.txt": "A server\n",
      "ports.json": '{"NumOfPorts": 1}',
    });
    await lab.ok("plugin", "add", folder);
    const { lines } = await lab.ok("plugin", "run", "code", "farm");
    const ends = lines.filter((line) => /http:\/\//u.test(line));
    assert.equal(ends.length, 2, lines.join("\n"));
    assert.match(ends[0] ?? "", /^box1 .*✓ setup the server {2}✓ start the server {2}✓ ask the server {3}http:\/\//u);
  });

  test("passes parameters as data, whatever they look like", async () => {
    const text = `{{ lookup('pipe', 'touch /tmp/p2prc-never') }} "quoted" 'single'\nsecond: line\t# ü 😀`;
    const site = `- hosts: all
  gather_facts: false
  tasks:
    - name: write
      copy: { content: "{{ text }}", dest: /tmp/told }
    - name: echo
      command: { argv: [printf, "%s", "{{ text }}"] }
`;
    const folder = await lab.plugin("teller", { "site.yml": site, "plugin.json": JSON.stringify(MANIFEST) });
    await lab.ok("plugin", "add", folder);
    assert.equal((await lab.p2prc("plugin", "run", "teller", "box1")).exit, 2);
    await lab.ok("plugin", "run", "teller", "box1", "-p", `text=${text}`);
    const { lines } = await lab.ok("exec", "box1", "--", "cat", "/tmp/told");
    assert.equal(lines.join("\n"), text);
  });

  test("shows how a task failed, and goes on from there", async () => {
    const site = `- hosts: all
  gather_facts: false
  tasks:
    - name: count
      shell: echo x >> /tmp/count
    - name: need [it]
      shell: test -e /tmp/needed || { echo nothing is here >&2; exit 7; }
`;
    await lab.ok("plugin", "add", await lab.plugin("needy", { "site.yml": site }));
    await lab.ok("exec", "box1", "--", "touch", "/tmp/needed");
    const failed = await lab.p2prc("plugin", "run", "needy", "farm");
    assert.equal(failed.exit, 2);
    const said = failed.lines.join("\n");
    assert.match(said, /^box1 +✓ count +✓ need \[it\]/mu);
    assert.match(said, /^box2 +✓ count +✗ need \[it\]/mu);
    assert.match(said, /exit 7: .*\n.*nothing is here/u);
    assert.match(said, /again: p2prc plugin run needy box2 --resume/u);
    await lab.ok("exec", "box2", "--", "touch", "/tmp/needed");
    await lab.ok("plugin", "run", "needy", "box2", "--resume");
    assert.deepEqual((await lab.ok("exec", "farm", "--", "cat", "/tmp/count")).lines.toSorted(), [
      "box1  x",
      "box2  x",
    ]);
    assert.match((await lab.ok("plugin", "run", "needy", "farm", "--resume")).lines.join("\n"), /come to its end/u);
  });

  test("goes on at what brings in the task that failed, where that stands in another file", async () => {
    const site = `- hosts: all
  gather_facts: false
  tasks:
    - name: "count on {{ inventory_hostname }}"
      shell: echo x >> /tmp/counted
    - include_tasks: inner.yml
`;
    const inner = "- name: need it\n  shell: test -e /tmp/inner-needed\n";
    await lab.ok("plugin", "add", await lab.plugin("including", { "site.yml": site, "inner.yml": inner }));
    assert.equal((await lab.p2prc("plugin", "run", "including", "box1")).exit, 2);
    await lab.ok("exec", "box1", "--", "touch", "/tmp/inner-needed");
    const { lines } = await lab.ok("plugin", "run", "including", "box1", "--resume");
    assert.match(lines.join("\n"), /^box1 +✓ include_tasks +✓ need it$/mu);
    assert.deepEqual((await lab.ok("exec", "box1", "--", "cat", "/tmp/counted")).lines, ["x"]);
  });

  test("ends in the sandbox what it ended here, and leaves what was sent into the background", async () => {
    const site = `- hosts: all
  gather_facts: false
  tasks:
    - name: serve
      shell: sleep 4321
      async: 5000
      poll: 0
    - name: hang
      raw: trap '' INT TERM HUP; sleep 1234
`;
    await lab.ok("plugin", "add", await lab.plugin("stubborn", { "site.yml": site }));
    const { exit, lines } = await lab.p2prc("plugin", "run", "stubborn", "box1", "--time-limit", "6s");
    assert.equal(exit, 4, lines.join("\n"));
    const sleeping = "cat /proc/[0-9]*/cmdline | tr '\\0' '\\n' | grep -xE '1234|4321' | sort -u";
    assert.deepEqual((await lab.ok("exec", "box1", "--", "sh", "-c", sleeping)).lines, ["4321"]);
  });

  test("checks what would change and changes nothing, and ends what takes too long, or at Ctrl-C", async () => {
    const site = `- hosts: all
  gather_facts: false
  tasks:
    - name: write
      copy: { content: "new\\n", dest: /tmp/diffed }
    - name: sleep
      command: sleep 100
`;
    await lab.ok("plugin", "add", await lab.plugin("sleeper", { "site.yml": site }));
    const checked = (await lab.ok("plugin", "run", "sleeper", "box1", "--check", "--diff")).lines.join("\n");
    assert.match(checked, /^box1 +\+new$/mu);
    assert.equal((await lab.p2prc("exec", "box1", "--", "test", "-e", "/tmp/diffed")).exit, 1);
    const late = await lab.p2prc("plugin", "run", "sleeper", "box1", "--time-limit", "4s");
    assert.equal(late.exit, 4);
    assert.match(late.lines.join("\n"), /took longer than 4 s/u);
    const running = await lab.start("plugin", "run", "sleeper", "box1");
    await running.until((lines) => lines.some((line) => line.includes("write")));
    running.child.kill("SIGINT");
    const left = await running.ended;
    assert.equal(left.exit, 130, left.lines.join("\n"));
    assert.match(left.lines.join("\n"), /again: p2prc plugin run sleeper box1 --resume/u);
  });

  test("says what is wrong with a playbook that cannot be read", async () => {
    await lab.ok("plugin", "add", await lab.plugin("broken", { "site.yml": "- hosts: all\n  tasks:\n   - {{{\n" }));
    const { exit, lines } = await lab.p2prc("plugin", "run", "broken", "box1");
    assert.equal(exit, 4);
    assert.match(lines.join("\n"), /ERROR/u);
  });

  test("refuses, before the first task, what needs more than there is", async () => {
    const site =
      "- hosts: all\n  tasks:\n    - name: install\n      apt:\n        name: curl\n        state: present\n";
    await lab.ok("plugin", "add", await lab.plugin("installer", { "site.yml": site }));
    const { exit, lines } = await lab.p2prc("plugin", "run", "installer", "box1");
    assert.equal(exit, 5, lines.join("\n"));
    assert.match(lines.join("\n"), /installer cannot run on box1: it has .*\n.*`p2prc touch attic --/u);
  });

  test("runs somebody else's behind walls, once it has been said that it may", async () => {
    await using here = createServer().listen(0, "127.0.0.1");
    await once(here, "listening");
    const { port } = here.address() as AddressInfo;
    const site = `- hosts: all
  gather_facts: false
  tasks:
    - name: say
      shell: echo here > /tmp/walled
- hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - name: look around
      shell: |
        test ! -e ${lab.home}
        test ! -e /root
        python3 -c 'import socket; socket.create_connection(("127.0.0.1", ${port}), 2)' && exit 1
        test "$(id -u)" != 0
        ! touch /work/x /usr/x
`;
    const folder = await lab.plugin("stranger", { "site.yml": site });
    const git = (...args: string[]) => spawnSync("git", ["-C", folder, ...args], { encoding: "utf8" });
    git("init", "-q", "-b", "main");
    git("add", ".");
    git("-c", "user.name=x", "-c", "user.email=x@example.org", "commit", "-q", "-m", "one");
    await lab.ok("plugin", "add", `file://${folder}`);
    const unasked = await lab.p2prc("plugin", "run", "stranger", "box2");
    assert.equal(unasked.exit, 6, unasked.lines.join("\n"));
    const ran = await lab.p2prc("plugin", "run", "stranger", "box2", "--yes");
    assert.equal(ran.exit, 0, ran.lines.join("\n"));
    assert.deepEqual((await lab.ok("exec", "box2", "--", "cat", "/tmp/walled")).lines, ["here"]);
    assert.deepEqual((await lab.ok("exec", "box2", "--", "wc", "-l", "/run/p2prc/authorized_keys")).lines, [
      "1 /run/p2prc/authorized_keys",
    ]);
  });

  test("takes away what a run left that was killed, here and in the sandbox", async () => {
    const site = `- hosts: all
  gather_facts: false
  tasks:
    - name: wait
      shell: touch /tmp/killed-waits; test -e /tmp/killed-enough || sleep 60
`;
    const folder = await lab.plugin("mortal", { "site.yml": site });
    const archive = `${folder}.tar`;
    assert.equal(spawnSync("tar", ["-cf", archive, "-C", folder, "."]).status, 0);
    await lab.ok("plugin", "add", archive);
    const running = await lab.start("plugin", "run", "mortal", "box2", "--yes");
    await lab.ok("exec", "box2", "--", "sh", "-c", "until test -e /tmp/killed-waits; do sleep 0.2; done");
    const left = await lab.entered();
    const [{ pid, work } = { pid: 0, work: "" }] = left;
    process.kill(pid, "SIGKILL");
    await running.ended;
    const keys = async () => (await lab.ok("exec", "box2", "--", "wc", "-l", "/run/p2prc/authorized_keys")).lines[0];
    assert.equal(await keys(), "2 /run/p2prc/authorized_keys");
    await access(join(work, "key"));
    await lab.ok("exec", "box2", "--", "touch", "/tmp/killed-enough");
    await lab.ok("plugin", "run", "mortal", "box2", "--yes");
    assert.equal(await keys(), "1 /run/p2prc/authorized_keys");
    await assert.rejects(access(work), { code: "ENOENT" });
    assert.deepEqual([left.length, await lab.entered()], [1, []]);
  });

  test("is not confused by sandboxes that are called as Ansible calls something else", async () => {
    const site = `- hosts: all
  gather_facts: false
  tasks:
    - name: mark
      command: touch /tmp/marked
- hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - name: here
      command: test ! -e /tmp/marked
`;
    for (const name of ["all", "localhost"]) await lab.ok("touch", "--near", "--name", name, "--network", "none");
    await lab.ok("group", "create", "odd", "all", "localhost");
    await lab.ok("plugin", "add", await lab.plugin("marker", { "site.yml": site }));
    const { lines } = await lab.ok("plugin", "run", "marker", "odd");
    assert.match(lines.join("\n"), /^all +✓ mark$.*^localhost +✓ mark$/msu);
    await lab.ok("exec", "odd", "--", "test", "-e", "/tmp/marked");
    await lab.ok("rm", "odd");
  });

  test("goes on with the others when a sandbox dies under it, and says which one is left", async () => {
    const site = `- hosts: all
  gather_facts: false
  tasks:
    - name: wait
      shell: touch /tmp/waits; while test ! -e /tmp/enough; do sleep 0.2; done
    - name: last
      command: "true"
`;
    await lab.ok("touch", "--near", "--count", "2", "--name", "mortal", "--group", "mortals", "--network", "none");
    await lab.ok("plugin", "add", await lab.plugin("waiter", { "site.yml": site }));
    const running = await lab.start("plugin", "run", "waiter", "mortals");
    for (const box of ["mortal1", "mortal2"]) {
      const waits = "until test -e /tmp/waits; do sleep 0.2; done";
      await lab.ok("exec", box, "--", "sh", "-c", waits);
    }
    assert.equal((await lab.attic("kick", "mortal2")).exit, 0);
    await lab.ok("exec", "mortal1", "--", "touch", "/tmp/enough");
    const { exit, lines } = await running.ended;
    const said = lines.join("\n");
    assert.equal(exit, 4, said);
    assert.match(said, /^mortal1 +✓ wait {2}✓ last$/mu);
    assert.match(said, /^mortal2 +✗ wait$/mu);
    assert.match(said, /again: p2prc plugin run waiter mortal2 --resume/u);
    await lab.p2prc("rm", "mortals");
  });

  test("keeps the log of each run, and nothing else of it", async () => {
    const runs = join(lab.home, "plugin-runs");
    const [first = "", ...more] = await readdir(runs);
    assert.ok(more.length > 3);
    assert.deepEqual((await readdir(join(runs, first))).toSorted(), ["log", "run.json"]);
    assert.match(await readFile(join(runs, first, "log"), "utf8"), /PLAY RECAP/u);
  });
});

class PluginLab implements AsyncDisposable {
  readonly #machines: Machines;

  static async open(): Promise<PluginLab> {
    const machines = await Machines.open();
    try {
      const served = await machines.run("attic", ["serve", "--detach", "--name", "attic"]);
      assert.equal(served.exit, 0, served.lines.join("\n"));
      const invite = await machines.run("attic", ["invite", "--own", "--json"]);
      const { link } = JSON.parse(invite.lines.at(-1) ?? "") as { link: string };
      const lab = new PluginLab(machines);
      await lab.ok("join", link);
      await lab.ok("touch", "--near", "--count", "2", "--group", "farm", "--network", "none");
      return lab;
    } catch (error) {
      await machines[Symbol.asyncDispose]();
      throw error;
    }
  }

  private constructor(machines: Machines) {
    this.#machines = machines;
  }

  get home(): string {
    return this.#machines.homeOf("barn");
  }

  async p2prc(...words: string[]): Promise<Said> {
    return await this.#machines.run("barn", words);
  }

  async attic(...words: string[]): Promise<Said> {
    return await this.#machines.run("attic", words);
  }

  async start(...words: string[]): Promise<Running> {
    return await this.#machines.start("barn", words);
  }

  async ok(...words: string[]): Promise<Said> {
    const said = await this.p2prc(...words);
    assert.equal(said.exit, 0, `${words.join(" ")}:\n${said.lines.join("\n")}`);
    return said;
  }

  /** The runs that say that a process works on them. */
  async entered(): Promise<readonly { readonly pid: number; readonly work: string }[]> {
    const runs = join(this.home, "plugin-runs");
    const texts = await Promise.all(
      (await readdir(runs)).map((id) => readFile(join(runs, id, "running.json"), "utf8").catch(() => "")),
    );
    return texts.flatMap((text) => (text === "" ? [] : [JSON.parse(text) as { pid: number; work: string }]));
  }

  /** A folder with these files. */
  async plugin(name: string, files: Readonly<Record<string, string>>): Promise<string> {
    const folder = join(this.#machines.folder, name);
    await mkdir(folder);
    for (const [file, content] of Object.entries(files)) await writeFile(join(folder, file), content);
    return folder;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#machines[Symbol.asyncDispose]();
  }
}
