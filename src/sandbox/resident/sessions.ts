/**
 * Sessions of processes, as /proc shows them. Each exec leads one of its own, so that what it started can be found again.
 */

import { readdir, readFile } from "node:fs/promises";

interface Stat {
  readonly session: number;
  /** The process group in the foreground of its terminal; -1 without one. */
  readonly foreground: number;
}

/** Whom a signal is for: the job in the foreground of the terminal that `leader` has, else its own group. */
export async function signalledGroup(leader: number): Promise<number> {
  const stat = await readStat(leader);
  return stat !== undefined && stat.foreground > 0 ? stat.foreground : leader;
}

export function sendSignal(pidOrGroup: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pidOrGroup, signal);
  } catch {
    // it is gone, which is what most signals are about
  }
}

/**
 * Ends by SIGKILL what is left of the session of `leader`: not those who ignore SIGHUP, since that is how a program says
 * that it outlives who started it (`nohup`); they may not be the leader.
 */
export async function killSession(leader: number, leaderLives: boolean): Promise<void> {
  if (leaderLives) sendSignal(leader, "SIGKILL");
  for (const name of await readdir("/proc").catch(() => [])) {
    const pid = Number(name);
    if (!Number.isInteger(pid) || pid === leader) continue;
    const stat = await readStat(pid);
    if (stat?.session === leader && !(await ignoresHangUp(pid))) sendSignal(pid, "SIGKILL");
  }
}

async function readStat(pid: number): Promise<Stat | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => ""); // gone
  // "pid (name) state ppid pgrp session tty_nr tpgid …": the name may hold anything, parentheses too.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  if (fields.length < 6) return undefined;
  return { session: Number(fields[3]), foreground: Number(fields[5]) };
}

async function ignoresHangUp(pid: number): Promise<boolean> {
  const text = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
  const mask = /^SigIgn:\s*([0-9a-f]+)$/mu.exec(text)?.[1];
  return mask !== undefined && (BigInt(`0x${mask}`) & 1n) === 1n;
}
