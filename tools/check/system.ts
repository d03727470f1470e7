/**
 * What the tests need of a Debian machine: installed when root, else the command is printed. What
 * is missing is no failure here; the tests that need it are skipped and listed at the end.
 */

import { access, rm, writeFile } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { environment, type Outcome, run } from "./run.ts";

interface Package {
  readonly name: string;
  /** What it brings, by which one sees that it is there. */
  readonly program: string;
  readonly why: string;
}

const packages: readonly Package[] = [
  { name: "iproute2", program: "ip", why: "network namespaces, and `tc netem` for their delay and loss" },
  { name: "nftables", program: "nft", why: "firewalls inside those namespaces" },
  { name: "python3", program: "python3", why: "routers that forget, and delay and loss where the kernel lacks netem" },
  { name: "miniupnpd-nftables", program: "miniupnpd", why: "routers that open ports when asked" },
  { name: "curl", program: "curl", why: "a stock HTTP/2 client against the API" },
  { name: "openssl", program: "openssl", why: "a stock TLS client against the listener" },
  {
    name: "openssh-client",
    program: "ssh",
    why: "stock `ssh`, `scp` and `sftp` into sandboxes, and `ssh -L` in bench/",
  },
  { name: "openssh-server", program: "sshd", why: "what sandboxes answer SSH with, and the other end in bench/" },
  { name: "ansible-core", program: "ansible-playbook", why: "plugins, which are Ansible's playbooks" },
  { name: "git", program: "git", why: "plugins that come from a repository" },
  { name: "parallel", program: "parallel", why: "GNU parallel over sandboxes, as in examples/" },
  { name: "rsync", program: "rsync", why: "stock `rsync` into sandboxes" },
  { name: "python3-distributed", program: "dask-worker", why: "a Dask cluster over sandboxes, as in examples/" },
  { name: "python3-numpy", program: "f2py3", why: "what is computed on that" },
  { name: "bubblewrap", program: "bwrap", why: "sandboxes where there is no container engine" },
  { name: "uidmap", program: "newuidmap", why: "a range of users for each of them" },
  { name: "passt", program: "pasta", why: "their way into the internet" },
  {
    name: "docker.io",
    program: "dockerd",
    why: "sandboxes in a real container engine, which the tests start themselves",
  },
  { name: "debootstrap", program: "debootstrap", why: "the Debian image that those tests import" },
];

export async function system(): Promise<Outcome> {
  const missing = await missingPackages();
  if (missing.length === 0) return { ok: true, output: "" };
  const debian = await exists("/usr/bin/apt-get");
  if (debian && process.getuid?.() === 0) return await install(missing.map(({ name }) => name));
  const command = debian ? `sudo ${aptInstall.join(" ")} ${names(missing)}` : `install: ${names(missing)}`;
  const reasons = missing.map(({ name, program, why }) => `  ${name} (${program}): ${why}\n`).join("");
  return {
    ok: true,
    output: `NOT INSTALLED, tests that need it are skipped:\n${reasons}to have them:\n  ${command}\n`,
  };
}

const aptInstall = ["apt-get", "install", "-y", "--no-install-recommends"] as const;

async function install(wanted: readonly string[]): Promise<Outcome> {
  await using _quiet = await nothingStarts();
  const installed = await run([...aptInstall, "-qq", ...wanted]);
  if (installed.ok) return { ok: true, output: `installed ${wanted.join(" ")}\n` };
  // A machine that has never been updated knows no package at all.
  const updated = await run(["apt-get", "update", "-qq"]);
  const again = updated.ok ? await run([...aptInstall, "-qq", ...wanted]) : updated;
  return again.ok ? { ok: true, output: `installed ${wanted.join(" ")}\n` } : again;
}

/** While held, a package that brings a server does not start it: Debian asks this file first (`man invoke-rc.d`). */
async function nothingStarts(): Promise<AsyncDisposable> {
  const policy = "/usr/sbin/policy-rc.d";
  if (await exists(policy)) return { [Symbol.asyncDispose]: () => Promise.resolve() };
  await writeFile(policy, "#!/bin/sh\nexit 101\n", { mode: 0o755 });
  return { [Symbol.asyncDispose]: () => rm(policy, { force: true }) };
}

async function missingPackages(): Promise<Package[]> {
  const folders = (environment["PATH"] ?? "").split(delimiter);
  const there = await Promise.all(
    packages.map(async ({ program }) => {
      const found = await Promise.all(folders.map((folder) => exists(join(folder, program))));
      return found.includes(true);
    }),
  );
  return packages.filter((_, i) => there[i] === false);
}

async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}

function names(some: readonly Package[]): string {
  return some.map(({ name }) => name).join(" ");
}
