/**
 * The people inside, as /etc/passwd knows them. Nothing of it is taken for granted: the image may have no such file.
 */

import { readFile, stat } from "node:fs/promises";

export interface Account {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  /** Undefined: there is no row for them. */
  readonly home: string | undefined;
  readonly shell: string | undefined;
}

/** More than this is not a list of people. */
const MAX_BYTES = 1024 * 1024;

export function parsePasswd(text: string): readonly Account[] {
  return text.split("\n").flatMap((line) => {
    const [name = "", , uid = "", gid = "", , home = "", shell = ""] = line.split(":");
    if (name === "" || !/^\d+$/u.test(uid) || !/^\d+$/u.test(gid)) return [];
    const account = { name, uid: Number(uid), gid: Number(gid), home: home === "" ? "/" : home };
    return [{ ...account, shell: shell === "" ? undefined : shell }];
  });
}

/** Who has no row lives where the image or the runtime says, and else where everybody may write. */
export function homeOf({ home }: Pick<Account, "home">, common: Readonly<Record<string, string>>): string {
  return home ?? common["HOME"] ?? "/tmp";
}

/** Where one is who has named no folder: an image may lack the home that it names. */
export async function existingHome(home: string): Promise<string> {
  return (await isFolder(home)) ? home : "/";
}

export async function isFolder(path: string): Promise<boolean> {
  const found = await stat(path).catch(() => undefined); // not there, or not for us to see
  return found?.isDirectory() === true;
}

/**
 * @param wanted a name or a number
 * @returns undefined for a name that nobody has; a number without a row is somebody all the same
 */
export async function findAccount(wanted: string | number): Promise<Account | undefined> {
  const text = await readFile("/etc/passwd").catch(() => Buffer.alloc(0)); // none: only numbers are known
  const accounts = parsePasswd(text.subarray(0, MAX_BYTES).toString("utf8"));
  const uid = /^\d{1,10}$/u.test(String(wanted)) ? Number(wanted) : undefined;
  const found = accounts.find((account) => (uid === undefined ? account.name === wanted : account.uid === uid));
  if (found !== undefined || uid === undefined) return found;
  return { name: String(uid), uid, gid: uid, home: undefined, shell: undefined };
}
