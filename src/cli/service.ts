/**
 * The service manager of this user: systemd's user instance, or launchd. Where it cannot be asked
 * (no session bus, as after `su`), the commands to type later are told instead.
 */

import type { Step } from "./install-plan.ts";
import type { Machine } from "./machine.ts";

type Service = Extract<Step, { readonly kind: "service" }>;

export interface ServiceOutcome {
  /** What could not be done: the commands that do it. */
  readonly leftToDo: readonly string[];
  /** Whether lingering is on because of us: services then outlive the last session, and start at boot. */
  readonly lingerTurnedOn: boolean;
}

export async function startService(service: Service, machine: Machine): Promise<ServiceOutcome> {
  return service.manager === "systemd" ? await startSystemd(service, machine) : await startLaunchd(service, machine);
}

export async function stopService(
  service: Service,
  { linger, machine }: { readonly linger: boolean; readonly machine: Machine },
): Promise<void> {
  if (service.manager === "launchd") {
    await machine.run("launchctl", ["unload", "-w", service.path]);
    return;
  }
  await machine.run("systemctl", ["--user", "disable", "--now", service.name]);
  if (linger) await machine.run("loginctl", ["disable-linger"]);
}

/** After the unit's file is gone. */
export async function forgetService(service: Service, machine: Machine): Promise<void> {
  if (service.manager === "systemd") await machine.run("systemctl", ["--user", "daemon-reload"]);
}

async function startSystemd({ name }: Service, machine: Machine): Promise<ServiceOutcome> {
  const leftToDo: string[] = [];
  const reload = await machine.run("systemctl", ["--user", "daemon-reload"]);
  const enable = reload.code === 0 ? await machine.run("systemctl", ["--user", "enable", "--now", name]) : reload;
  if (enable.code !== 0) leftToDo.push(`systemctl --user enable --now ${name}`);
  if (await lingers(machine)) return { leftToDo, lingerTurnedOn: false };
  const linger = await machine.run("loginctl", ["enable-linger"]);
  if (linger.code !== 0) leftToDo.push(`sudo loginctl enable-linger ${machine.environment["USER"] ?? '"$USER"'}`);
  return { leftToDo, lingerTurnedOn: linger.code === 0 };
}

async function lingers(machine: Machine): Promise<boolean> {
  const shown = await machine.run("loginctl", [
    "show-user",
    machine.environment["USER"] ?? "self",
    "--property=Linger",
    "--value",
  ]);
  return shown.stdout.trim() === "yes";
}

async function startLaunchd({ path }: Service, machine: Machine): Promise<ServiceOutcome> {
  const loaded = await machine.run("launchctl", ["load", "-w", path]);
  return { leftToDo: loaded.code === 0 ? [] : [`launchctl load -w ${path}`], lingerTurnedOn: false };
}
