/** What this machine lacks for a lab, found out once, as the reason of a skip. */

import { execFileSync } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { nameOf } from "./sweep.ts";

let reason: string | false | undefined;
let netem: boolean | undefined;

/** Why there can be no lab here; `false` when there can. */
export function whyNoLab(): string | false {
  reason ??= findReason();
  return reason;
}

/** The same for a lab whose cables have delay, loss or a rate. */
export function whyNoShapedLab(): string | false {
  return (
    whyNoLab() || (hasNetem() || isInstalled("python3") ? false : "the kernel lacks netem, and there is no python3")
  );
}

/** The same for an internet with routers, whose connections python3 makes them forget. */
export function whyNoNatLab(): string | false {
  return whyNoLab() || (isInstalled("python3") ? false : "there is no python3");
}

/** The same for a router that opens ports when asked. */
export function whyNoUpnpLab(): string | false {
  return whyNoNatLab() || (isInstalled("miniupnpd") ? false : "not installed: miniupnpd (package miniupnpd-nftables)");
}

/** Whether this kernel delays packets by itself. */
export function hasNetem(): boolean {
  netem ??= inProbe((name) => {
    execFileSync("tc", ["-n", name, "qdisc", "add", "dev", "lo", "root", "netem"], { stdio: "pipe" });
  });
  return netem;
}

function findReason(): string | false {
  if (process.platform !== "linux") return "network namespaces need Linux";
  if (process.geteuid?.() !== 0) return "network namespaces need root";
  const missing = ["ip", "tc", "nft"].filter((program) => !isInstalled(program));
  if (missing.length > 0) return `not installed: ${missing.join(", ")} (packages iproute2 and nftables)`;
  return inProbe(() => {}) ? false : "the kernel refuses network namespaces";
}

/** Whether a namespace could be made and `tried` in. */
function inProbe(tried: (name: string) => void): boolean {
  const name = nameOf(0, "probe");
  try {
    execFileSync("ip", ["netns", "add", name], { stdio: "pipe" });
  } catch {
    return false; // no right to, or no such thing in this kernel
  }
  try {
    tried(name);
    return true;
  } catch {
    return false; // the question was whether
  } finally {
    execFileSync("ip", ["netns", "delete", name], { stdio: "pipe" });
  }
}

function isInstalled(program: string): boolean {
  return (process.env["PATH"] ?? "").split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false; // not in this folder
    }
  });
}
