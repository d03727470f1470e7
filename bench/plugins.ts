/** A playbook on many sandboxes by `p2prc plugin run`, beside the same `ansible-playbook` over plain sshd on this machine. */

import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { env } from "node:process";
import { bubblewrapSkip } from "../test/support/bubblewrap-world.ts";
import { type Bench, type Row, verdict } from "./support/bench.ts";
import { alternate, median, MIB } from "./support/numbers.ts";
import { lacksOpenSsh, OpenSsh } from "./support/openssh.ts";
import { LAUNCHER, p2prc, SandboxPair } from "./support/sandbox-pair.ts";

const SANDBOXES = 20;
const TASKS = 10;
/** Each takes as long as four playbooks; fewer where the machine is busy: `ROUNDS=1`. */
const ROUNDS = Number(env["ROUNDS"] ?? 3);
const SMALL = { memoryBytes: 256 * MIB, diskBytes: 64 * MIB, cpus: 1 };
const TARGET = 1.15;
const NAMES = Array.from({ length: SANDBOXES }, (_, at) => `box${at + 1}`);

/** What playbooks mostly do: programs, files and lines in them. */
const KINDS = [
  "      command: uname -a\n      changed_when: false\n",
  '      copy: { content: "hello\\n", dest: "/tmp/p2prc-bench-{{ inventory_hostname }}" }\n',
  '      lineinfile: { path: "/tmp/p2prc-bench-{{ inventory_hostname }}", line: a line }\n',
  '      shell: "wc -l < /tmp/p2prc-bench-{{ inventory_hostname }}"\n',
  '      file: { path: "/tmp/p2prc-bench-{{ inventory_hostname }}", state: absent }\n',
] as const;
const PLAYBOOK = [
  "- hosts: all\n  gather_facts: false\n  tasks:\n",
  ...Array.from({ length: TASKS }, (_, at) => `    - name: task ${at + 1}\n${KINDS[at % KINDS.length]}`),
].join("");

/** As `p2prc plugin run` has it, but for the inventory, the callback and how often Ansible looks for news: that is its own default here. */
const CONFIGURATION = `[defaults]
forks = ${SANDBOXES}
interpreter_python = auto_silent
nocows = True
retry_files_enabled = False
[ssh_connection]
ssh_args = -F ssh_config
pipelining = True
transfer_method = piped
`;

/** As Ansible has it by itself. */
const PERSIST_S = 60;

export const plugins: Bench = {
  name: "plugins",
  summary: `a playbook of ${TASKS} tasks over ${SANDBOXES} sandboxes, beside ansible-playbook over plain sshd`,
  lacks: () => bubblewrapSkip() || lacksOpenSsh() || lacksAnsible(),
  async run(note) {
    await using world = await World.open(note);
    note(`${ROUNDS} rounds, one to warm up`);
    const ms = await alternate(["plain", "p2prc"] as const, ROUNDS, async (name) => {
      const ms = await world.playMs(name);
      note(`${name}: ${(ms / 1_000).toFixed(1)} s`);
      return ms;
    });
    const [plain, ours] = [median(ms.plain), median(ms.p2prc)];
    const ratio = ours / plain;
    const rows: Row[] = [
      { by: "ansible-playbook, plain sshd", "median s": plain / 1_000, "least s": Math.min(...ms.plain) / 1_000 },
      {
        by: "p2prc plugin run",
        "median s": ours / 1_000,
        "least s": Math.min(...ms.p2prc) / 1_000,
        ratio,
        target: `<= ${TARGET}`,
        verdict: verdict(ratio <= TARGET),
      },
    ];
    return [
      { title: `${TASKS} tasks over ${SANDBOXES}, as many forks; whole processes, first connections included`, rows },
    ];
  },
};

class World implements AsyncDisposable {
  readonly #folder: string;
  readonly #pair: SandboxPair;
  readonly #things: AsyncDisposableStack;

  static async open(note: (words: string) => void): Promise<World> {
    await using opening = new AsyncDisposableStack();
    const folder = await mkdtemp(join(tmpdir(), "p2prc-bench-plugins-"));
    opening.defer(() => rm(folder, { recursive: true, force: true }));
    const plain = opening.use(await OpenSsh.open());
    const pair = opening.use(await SandboxPair.open({ runtime: "bubblewrap" }));
    await p2prc(pair.ownerHome, ["lend", "--max-sandboxes", "64", "--max-cpus", "64", "--max-memory", "64G"]);
    const boxes: string[] = [];
    opening.defer(async () => {
      for (const box of boxes) await pair.remove(box);
    });
    for (const name of NAMES) {
      note(`starting ${name} of ${SANDBOXES}`);
      const { sandbox } = await pair.touch({ name, network: "none", ...SMALL, lifetimeMs: 8 * 3_600_000 });
      boxes.push(sandbox.id);
    }
    await p2prc(pair.guestHome, ["group", "create", "farm", ...boxes]);
    await mkdir(join(folder, "ten"));
    await writeFile(join(folder, "ten", "site.yml"), PLAYBOOK);
    await p2prc(pair.guestHome, ["plugin", "add", join(folder, "ten")]);
    await writeFile(join(folder, "ssh_config"), sshConfig(plain));
    await writeFile(join(folder, "inventory"), `${NAMES.join("\n")}\n`);
    await writeFile(join(folder, "ansible.cfg"), CONFIGURATION);
    return new World({ folder, pair, things: opening.move() });
  }

  private constructor({
    folder,
    pair,
    things,
  }: { readonly folder: string; readonly pair: SandboxPair; readonly things: AsyncDisposableStack }) {
    this.#folder = folder;
    this.#pair = pair;
    this.#things = things;
  }

  /** With connections of its own: they are ended with it. */
  async playMs(by: "plain" | "p2prc"): Promise<number> {
    const words =
      by === "plain"
        ? ["ansible-playbook", "-i", "inventory", join("ten", "site.yml")]
        : [LAUNCHER, "--home", this.#pair.guestHome, "plugin", "run", "ten", "farm"];
    const ms = await timed(words, this.#folder);
    for (const name of NAMES) {
      const place = by === "plain" ? ["ssh_config", name] : [join(this.#pair.guestHome, "ssh_config"), `${name}.p2prc`];
      spawnSync("ssh", ["-F", ...place, "-O", "exit"], { cwd: this.#folder, stdio: "ignore" });
    }
    return ms;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#things.disposeAsync();
  }
}

/** What our own configuration says of sandboxes, for hosts of plain sshd. */
function sshConfig(plain: OpenSsh): string {
  return [
    "Host box*",
    "  HostName 127.0.0.1",
    `  Port ${plain.port}`,
    `  User ${userInfo().username}`,
    `  IdentityFile ${plain.identity}`,
    "  StrictHostKeyChecking no",
    "  UserKnownHostsFile /dev/null",
    "  BatchMode yes",
    "  LogLevel ERROR",
    "  ControlMaster auto",
    "  ControlPath /tmp/p2prc-bench-%p-%n", // a connection for each of them
    `  ControlPersist ${PERSIST_S}`,
    "",
  ].join("\n");
}

async function timed([file = "", ...words]: readonly string[], cwd: string): Promise<number> {
  const begun = performance.now();
  const child = spawn(file, words, {
    cwd,
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, LC_ALL: "C.UTF-8" },
  });
  let said = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (text: string) => {
      said = (said + text).slice(-4_096);
    });
  const [code] = (await once(child, "exit")) as [number | null]; // what persists holds its stderr
  if (code !== 0) throw new Error(`${file} ended with ${code}: ${said}`);
  return performance.now() - begun;
}

function lacksAnsible(): string | false {
  try {
    execFileSync("ansible-playbook", ["--version"], { stdio: "ignore" });
    return false;
  } catch {
    return "there is no ansible-playbook (package ansible-core)";
  }
}
