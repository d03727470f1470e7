/**
 * What is to be run, from what was asked: program, environment, folder and user. Checked before anything is started, so
 * that a refusal has a reason and the code that shells use: 127 not there, 126 there but not to be run.
 */

import { constants } from "node:fs";
import { access, stat } from "node:fs/promises";
import { delimiter, resolve } from "node:path";
import { type Account, existingHome, findAccount, homeOf, isFolder } from "./account.ts";
import type { ExecEnd, ExecStart } from "./protocol.ts";

export interface Command {
  readonly file: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  /** Undefined: as the resident itself. */
  readonly identity: { readonly uid: number; readonly gid: number } | undefined;
}

export type Refused = Extract<ExecEnd, { kind: "refused" }>;
export const refused = (code: 126 | 127, reason: string): Refused => ({ kind: "refused", code, reason });

const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const SHELLS = ["/bin/bash", "/bin/sh", "/usr/bin/sh"];

/** @param common what the runtime gives everybody inside: an image's own variables */
export async function resolveCommand(
  start: ExecStart,
  common: Readonly<Record<string, string>>,
): Promise<Command | Refused> {
  const self = process.getuid?.() ?? 0;
  const account = await findPerson(start.user, self);
  if ("kind" in account) return account;
  const identity = account.uid === self ? undefined : { uid: account.uid, gid: account.gid };
  const env = environment(start, account, common);
  const home = homeOf(account, common);
  const cwd = start.cwd === undefined ? await existingHome(home) : resolve(home, start.cwd);
  if (!(await isFolder(cwd))) return refused(126, `no such folder: ${cwd}`);
  const [name, ...args] = start.argv;
  const file = name === undefined ? await findShell(account) : await findProgram(name, cwd, env["PATH"] ?? "");
  if (typeof file !== "string") return file;
  if (name === undefined) return { file, args: ["-l"], env: { ...env, SHELL: file }, cwd, identity };
  return { file, args, env, cwd, identity };
}

async function findPerson(user: string | undefined, self: number): Promise<Account | Refused> {
  const account = await findAccount(user ?? self);
  if (account === undefined) return refused(126, `no such user: ${user}`);
  const may = account.uid === self || self === 0;
  return may ? account : refused(126, "only root may run something as somebody else");
}

function environment(
  { env, terminal }: ExecStart,
  account: Account,
  common: Readonly<Record<string, string>>,
): Record<string, string> {
  const { name, shell = "/bin/sh" } = account;
  const home = homeOf(account, common);
  const own = { PATH: DEFAULT_PATH, LANG: "C.UTF-8", ...common, HOME: home, USER: name, LOGNAME: name, SHELL: shell };
  return { ...own, ...(terminal === undefined ? {} : { TERM: terminal.type }), ...env };
}

async function findShell({ shell }: Account): Promise<string | Refused> {
  for (const candidate of shell === undefined ? SHELLS : [shell, ...SHELLS]) {
    if ((await whyNot(candidate)) === undefined) return candidate;
  }
  return refused(127, "no shell is to be found here: say which program to run");
}

async function findProgram(name: string, cwd: string, path: string): Promise<string | Refused> {
  if (name.includes("/")) {
    const file = resolve(cwd, name);
    return (await whyNot(file)) ?? file;
  }
  let worst: Refused = refused(127, `no such program: ${name}`);
  for (const folder of path.split(delimiter)) {
    const file = resolve(cwd, folder, name);
    const why = await whyNot(file);
    if (why === undefined) return file;
    if (why.reason === PERMISSION_DENIED) worst = why;
  }
  return worst;
}

const PERMISSION_DENIED = "permission denied";

async function whyNot(file: string): Promise<Refused | undefined> {
  try {
    if ((await stat(file)).isDirectory()) return refused(126, "it is a folder");
    await access(file, constants.X_OK);
    return undefined;
  } catch (error) {
    return refusedBy(error);
  }
}

/** What the system said when it was to be started. */
export function refusedBy(error: unknown): Refused {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  const [number, reason] = reasons.get(code) ?? [126, error instanceof Error ? error.message : "it did not start"];
  return refused(number, reason);
}

const reasons = new Map<string, readonly [126 | 127, string]>([
  ["ENOENT", [127, "no such file"]],
  ["ENOTDIR", [127, "no such file"]],
  ["EACCES", [126, PERMISSION_DENIED]],
  ["EPERM", [126, PERMISSION_DENIED]],
  ["E2BIG", [126, "the arguments are too long"]],
  ["ENOEXEC", [126, "not a program for this machine"]],
  ["EAGAIN", [126, "no more processes are allowed"]],
  ["ENOMEM", [126, "no memory is left"]],
]);
