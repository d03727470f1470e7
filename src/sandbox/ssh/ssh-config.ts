/**
 * The part of OpenSSH's configuration that P2PRC keeps: one `Host` for each sandbox, with its key pinned.
 *
 * `ssh box.p2prc` goes to a loopback port of this person's daemon, which costs no process of ours. Where the daemon does not
 * run, a ProxyCommand starts it first. See `docs/decisions/` for what was measured.
 */

import { join } from "node:path";
import type { SandboxId } from "../runtime/sandbox-id.ts";

export interface SshBox {
  readonly id: SandboxId;
  readonly name: string;
  /** What its node is called here; only what fits a host name is of use. */
  readonly nodeName: string;
  readonly user: string;
  /** `ssh-ed25519 AAAA…` */
  readonly hostKey: string;
  /** Of the door on 127.0.0.1. */
  readonly port: number;
}

export interface SshPlaces {
  readonly home: string;
  /** Folder of the daemon's socket: short, private. */
  readonly runtime: string;
  /** The daemon's socket, there while it runs. */
  readonly socket: string;
  readonly clientKey: string;
  readonly knownHosts: string;
  /** What runs `p2prc`: Node and its arguments. */
  readonly program: readonly string[];
  readonly platform: NodeJS.Platform;
}

export const HOST_SUFFIX = "p2prc";
/** sun_path holds 108 bytes on Linux, 104 on macOS; `ssh` adds 17 while it makes the socket. */
const MAX_CONTROL_BYTES = 104 - 17 - 1;
const LABEL = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

export function formatSshConfig(boxes: readonly SshBox[], places: SshPlaces): string {
  const blocks = [
    `# Written by p2prc, anew with every change. \`p2prc ssh-config --install\` makes ssh read it.`,
    ...startingBlock(places),
    ...boxes.map((box) => hostBlock(box, places)),
    commonBlock(places),
  ];
  return `${blocks.join("\n\n")}\n`;
}

/** One line for each sandbox, under the name that `HostKeyAlias` gives it: no address is ever trusted. */
export function formatKnownHosts(boxes: readonly SshBox[]): string {
  return boxes.map(({ id, hostKey }) => `${aliasOf(id)} ${hostKey}\n`).join("");
}

/** The names by which `ssh` knows it: its own, which may be another's too on another node, and its id. */
export function hostNamesOf({ id, name, nodeName }: Pick<SshBox, "id" | "name" | "nodeName">): readonly string[] {
  const long = LABEL.test(nodeName) ? [`${name}.${nodeName}.${HOST_SUFFIX}`] : [];
  return [`${name}.${HOST_SUFFIX}`, ...long, aliasOf(id)];
}

function hostBlock(box: SshBox, places: SshPlaces): string {
  return block(`Host ${hostNamesOf(box).join(" ")}`, [
    "HostName 127.0.0.1",
    `Port ${box.port}`,
    `User ${box.user}`,
    `HostKeyAlias ${aliasOf(box.id)}`,
    ...multiplexing(box, places),
  ]);
}

/** `test` costs 1 ms, and is left out for whoever has said before where `HostName` is. A shell on Windows has none: there the program is always asked. `Match` cannot escape a quote. */
function startingBlock({ home, socket, program, platform }: SshPlaces): readonly string[] {
  const proxy = `ProxyCommand ${percent([...program, "ssh-proxy", "--home", home].map(forShell).join(" "))} %n`;
  if (platform === "win32") return [block(`Match host *.${HOST_SUFFIX}`, [proxy])];
  const isDown = percent(`test ! -S ${forShell(socket)}`);
  if (isDown.includes('"')) return [];
  return [block(`Match host *.${HOST_SUFFIX} exec "${isDown}"`, [proxy])];
}

function commonBlock({ clientKey, knownHosts }: SshPlaces): string {
  return block(`Host *.${HOST_SUFFIX}`, [
    `IdentityFile ${quoted(clientKey)}`,
    "IdentitiesOnly yes",
    `UserKnownHostsFile ${quoted(knownHosts)}`,
    "GlobalKnownHostsFile none",
    "StrictHostKeyChecking yes",
    "HostKeyAlgorithms ssh-ed25519",
    "UpdateHostKeys no",
    "PreferredAuthentications publickey",
    "ForwardAgent no",
    "ForwardX11 no",
    "ServerAliveInterval 15",
  ]);
}

/** A second command over the connection of the first takes a tenth of the time. */
function multiplexing({ id }: SshBox, { runtime, platform }: SshPlaces): readonly string[] {
  const path = join(runtime, `m-${id}`);
  if (platform === "win32" || Buffer.byteLength(path) > MAX_CONTROL_BYTES) return [];
  return ["ControlMaster auto", `ControlPath ${quoted(path)}`, "ControlPersist 10"];
}

function block(head: string, lines: readonly string[]): string {
  return [head, ...lines.map((line) => `  ${line}`)].join("\n");
}

function aliasOf(id: SandboxId): string {
  return `${id}.${HOST_SUFFIX}`;
}

/** A path as ssh_config reads it: `%` begins a token there, and `$` a variable that none of ours is meant to be. */
function quoted(path: string): string {
  return `"${percent(path).replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
}

function percent(text: string): string {
  return text.replaceAll("%", "%%");
}

/** For the shell that `ssh` starts. */
function forShell(word: string): string {
  return /^[\w./:@+=,-]+$/u.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
