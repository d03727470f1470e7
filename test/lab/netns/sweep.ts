/**
 * Which namespaces are whose, and what is left of test processes that were killed.
 *
 * A namespace of a lab is called `p2prc-lab-<pid>-<count>-<host>` after the process that made it.
 * When that process is gone, whoever comes next takes the namespace down, with all that runs in it.
 */

import { execFileSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { ip } from "./ip.ts";

const NAME = /^p2prc-lab-(\d+)-/;

export function nameOf(lab: number, host: string): string {
  return `p2prc-lab-${process.pid}-${lab}-${host}`;
}

/** Takes down what processes that are gone left behind. @returns the names */
export async function sweepLabs(): Promise<string[]> {
  const left = namespaces().filter((name) => !isAlive(Number(NAME.exec(name)?.[1])));
  for (const name of left) await removeNamespace(name);
  return left;
}

/** Kills what runs in it, waits until that is gone, and deletes it. Content when it is gone already. */
export async function removeNamespace(name: string): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    const pids = await processesIn(name);
    if (pids.length === 0) break;
    for (const pid of pids) kill(pid);
    await sleep(20);
  }
  if (namespaces().includes(name)) await ip("netns", "delete", name);
}

/** The same for a process that is about to end and cannot wait. */
export function removeNamespacesNow(names: readonly string[]): void {
  for (const name of names.filter((one) => namespaces().includes(one))) {
    const pids = execFileSync("ip", ["netns", "pids", name], { encoding: "utf8" });
    for (const pid of numbers(pids)) kill(pid);
    execFileSync("ip", ["netns", "delete", name]);
  }
}

function namespaces(): string[] {
  try {
    return readdirSync("/run/netns").filter((name) => NAME.test(name));
  } catch {
    return []; // nobody has ever made one
  }
}

async function processesIn(name: string): Promise<number[]> {
  return namespaces().includes(name) ? numbers(await ip("netns", "pids", name)) : [];
}

function numbers(text: string): number[] {
  return text.split("\n").filter(Boolean).map(Number);
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // it was quicker
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}
