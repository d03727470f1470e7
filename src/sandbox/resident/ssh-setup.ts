/**
 * What sshd needs to be there before the first connection: its configuration, the host key, the guest's key, and, where it
 * runs as root, a user and a folder of its own. Asked for by `PUT /ssh` (`SshSetup`); again is the same as once.
 */

import { existsSync, mkdirSync, renameSync, writeFileSync } from "node:fs";
import { appendFile, chmod, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Account, findAccount } from "./account.ts";
import type { SshReady, SshSetup } from "./protocol.ts";
import { Refusal } from "./refusal.ts";
import { LIBRARIES_OF_OWN_PASSWD, OWN_PASSWD } from "./ssh.ts";
import { hostKeyFrom } from "./ssh-host-key.ts";

export interface SshDeps {
  /** A folder that nobody but the resident's user writes to. */
  readonly folder: string;
  /** How sshd is started, where it is the system's own. Then the system is nobody's sandbox, and is left as it is. */
  readonly sshd: readonly string[] | undefined;
  /** What the runtime gives everybody inside. */
  readonly env: Readonly<Record<string, string>>;
}

const SHELLS = ["/bin/bash", "/bin/sh"];
const MAX_KEYS = 16;
const KEY = /^ssh-ed25519 [A-Za-z0-9+/]{68}$/u;
/** Where sshd as root shuts in what it does before anybody has proved who they are; compiled in. */
const EMPTY_FOLDER = "/run/sshd";

export async function setUpSsh(value: unknown, { folder, sshd, env }: SshDeps): Promise<SshReady> {
  const { hostSeed, authorizedKeys } = parseSetup(value);
  const uid = process.getuid?.() ?? 0;
  if (uid === 0) await mkdir(EMPTY_FOLDER, { recursive: true, mode: 0o755 });
  if (uid === 0 && sshd === undefined) await makeRootReady();
  const account = await accountOf(uid, { sshd, env });
  const { publicLine, privateFile } = hostKeyFrom(Buffer.from(hostSeed, "base64"));
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const keys = authorizedKeys.map((key) => `restrict,pty,port-forwarding ${key}\n`).join("");
  write(join(folder, "ssh_host_ed25519_key"), privateFile);
  write(join(folder, "authorized_keys"), keys);
  write(join(folder, "sshd_config"), configuration(account, folder, env));
  return { hostKey: publicLine, user: account.name };
}

/** Every line says less than what OpenSSH would allow by itself, or the same. */
function configuration({ name, uid }: Account, folder: string, env: Readonly<Record<string, string>>): string {
  const variables = Object.entries(env).filter(([, value]) => !/["\\\r\n]/u.test(value));
  const lines = [
    `HostKey ${folder}/ssh_host_ed25519_key`,
    `AuthorizedKeysFile ${folder}/authorized_keys`,
    `AllowUsers ${name}`,
    `PermitRootLogin ${uid === 0 ? "prohibit-password" : "no"}`,
    ...RULES,
    ...(variables.length === 0 ? [] : [`SetEnv ${variables.map(([key, value]) => `"${key}=${value}"`).join(" ")}`]),
  ];
  return `${lines.join("\n")}\n`;
}

const RULES = [
  "PidFile none",
  "AuthenticationMethods publickey",
  "PubkeyAuthentication yes",
  "PasswordAuthentication no",
  "KbdInteractiveAuthentication no",
  "HostbasedAuthentication no",
  "PermitEmptyPasswords no",
  "UsePAM no",
  // Whose the folders above ours are, nobody knows in a user namespace; ours is 0700.
  "StrictModes no",
  "LoginGraceTime 20",
  "MaxAuthTries 3",
  "MaxSessions 10",
  "AllowAgentForwarding no",
  "AllowTcpForwarding yes",
  "AllowStreamLocalForwarding yes",
  "GatewayPorts no",
  "X11Forwarding no",
  "PermitTunnel no",
  "PermitUserEnvironment no",
  "PermitUserRC no",
  "AcceptEnv LANG LC_*",
  "ClientAliveInterval 15",
  "ClientAliveCountMax 3",
  "UseDNS no",
  "PrintMotd no",
  "PrintLastLog no",
  "LogLevel ERROR",
  // In the process itself: nothing of it need be in the image.
  "Subsystem sftp internal-sftp",
];

/** @throws {Refusal} not-supported */
async function accountOf(uid: number, { sshd, env }: Pick<SshDeps, "sshd" | "env">): Promise<Account> {
  const found = await findAccount(uid);
  const account = found?.home === undefined && uid !== 0 && sshd === undefined ? withOwnRow(uid, env) : found;
  if (account?.shell === undefined)
    throw new Refusal("not-supported", `ssh needs a row with a shell for user ${uid} in /etc/passwd`);
  // Else sshd would refuse whoever comes, with whatever key.
  if (!existsSync(account.shell))
    throw new Refusal("not-supported", `ssh needs a shell, and the image has none at ${account.shell}`);
  return account;
}

/** An image need not know of the user that it is run as. @throws {Refusal} not-supported */
function withOwnRow(uid: number, { HOME: home = "/tmp" }: Readonly<Record<string, string>>): Account | undefined {
  if (!existsSync(LIBRARIES_OF_OWN_PASSWD)) return undefined;
  const shell = SHELLS.find((path) => existsSync(path));
  if (shell === undefined) throw new Refusal("not-supported", "ssh needs a shell, and the image has none");
  const account = { name: "guest", uid, gid: process.getgid?.() ?? uid, home, shell };
  write(OWN_PASSWD, `${account.name}:x:${uid}:${account.gid}::${home}:${shell}\n`);
  return account;
}

/** An image may lack what every system that runs sshd has. */
async function makeRootReady(): Promise<void> {
  await chmod(EMPTY_FOLDER, 0o755);
  const root = await findAccount(0);
  if (root?.name === "0") await addRow("root:x:0:0:root:/root:/bin/sh");
  if ((await findAccount("sshd")) === undefined) await addRow(`sshd:x:65533:65534::${EMPTY_FOLDER}:/usr/sbin/nologin`);
  await unlockRoot();
}

async function addRow(row: string): Promise<void> {
  const before = await readFile("/etc/passwd", "utf8").catch(() => ""); // there is none
  await mkdir("/etc", { recursive: true });
  await appendFile("/etc/passwd", `${before === "" || before.endsWith("\n") ? "" : "\n"}${row}\n`, { mode: 0o644 });
}

/** `!` locks the whole account for sshd; `*` only says that no password opens it. */
async function unlockRoot(): Promise<void> {
  const shadow = await readFile("/etc/shadow", "utf8").catch(() => ""); // there is none: nothing is locked
  const opened = shadow.replace(/^root:![^:]*:/mu, "root:*:");
  if (opened !== shadow) await writeFile("/etc/shadow", opened);
}

/** Into memory, so at once: through the threads for files it would be a tenth of what a guest waits for a sandbox. */
function write(path: string, content: string): void {
  writeFileSync(`${path}.new`, content, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

function parseSetup(value: unknown): SshSetup {
  const { hostSeed, authorizedKeys } = (typeof value === "object" && value !== null ? value : {}) as Partial<
    Record<keyof SshSetup, unknown>
  >;
  const isSeed = typeof hostSeed === "string" && Buffer.from(hostSeed, "base64").length === 32;
  const areKeys =
    Array.isArray(authorizedKeys) &&
    authorizedKeys.length <= MAX_KEYS &&
    authorizedKeys.every((key) => typeof key === "string" && KEY.test(key));
  if (!isSeed || !areKeys) throw new Refusal("bad-argument", "ssh takes 32 bytes for its host key and Ed25519 keys");
  return { hostSeed, authorizedKeys: authorizedKeys as readonly string[] };
}
