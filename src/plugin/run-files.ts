/** What one run of `ansible-playbook` is told: a folder of files, made for it and gone with it. */

import { cp, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { CALLBACK_NAME, CALLBACK_SOURCE } from "./callback-source.ts";
import type { StoredPlugin } from "./contract.ts";
import { hostOf } from "./host-names.ts";
import type { Target } from "./needs.ts";
import { unsafeVariables, type Values } from "./parameters.ts";
import { withPorts } from "./template.ts";

export interface RunFiles {
  readonly plugin: StoredPlugin;
  /** Of the plugin, in the store. */
  readonly files: string;
  readonly targets: readonly Target[];
  readonly values: Values;
  /** In the order of the plugin's ports; the same in every sandbox. */
  readonly ports: readonly number[];
  readonly forks: number;
  /** For `ssh -F`. */
  readonly sshConfig: string;
}

/** @param folder a new one, for this run alone */
export async function writeRunFiles(folder: string, run: RunFiles): Promise<void> {
  const put = async (name: string, content: string) => await writeFile(join(folder, name), content, { mode: 0o600 });
  await cp(run.files, join(folder, "plugin"), { recursive: true });
  await mkdir(join(folder, "callbacks"), { mode: 0o700 });
  if (run.plugin.form === "seed") {
    const playbook = join(folder, "plugin", run.plugin.playbook);
    await writeFile(playbook, withPorts(await readFile(playbook, "utf8"), run.ports));
  }
  await Promise.all([
    put("ansible.cfg", configuration(run.forks)),
    put("inventory.yml", `${JSON.stringify(inventory(run), undefined, 2)}\n`),
    put("variables.yml", unsafeVariables(run.values)),
    put("ssh_config", run.sshConfig),
    put(join("callbacks", `${CALLBACK_NAME}.py`), CALLBACK_SOURCE),
  ]);
}

/** Paths are beside this file: Ansible runs in the folder. */
function configuration(forks: number): string {
  return [
    "[defaults]",
    "inventory = inventory.yml",
    "callback_plugins = callbacks",
    `callbacks_enabled = ${CALLBACK_NAME}`,
    `forks = ${forks}`,
    "internal_poll_interval = 0.01", // it looks every millisecond otherwise, which takes a fifth of a core
    "host_key_checking = True",
    "interpreter_python = auto_silent",
    "retry_files_enabled = False",
    "deprecation_warnings = False",
    "localhost_warning = False",
    "nocows = True",
    "nocolor = True",
    "timeout = 30",
    "[ssh_connection]",
    "ssh_args = -F ssh_config",
    "pipelining = True", // one connection for a task, and nothing left behind
    "transfer_method = piped", // no sftp server need be in the image
    "retries = 1",
    "",
  ].join("\n");
}

/** YAML, as far as Ansible is concerned: each host by the name of its sandbox. */
function inventory({ targets, plugin, ports }: RunFiles): object {
  const named = Object.fromEntries(plugin.ports.map(({ name }, index) => [name, ports[index]]));
  const hosts = targets.map(({ name, id, user }) => [
    hostOf(name),
    {
      ansible_host: `${id}.p2prc`,
      ansible_user: user,
      // Root has no sudo to become root with, and a single user nobody to become.
      ansible_become: false,
    },
  ]);
  return { all: { hosts: Object.fromEntries(hosts) as object, vars: { p2prc_ports: named } } };
}
