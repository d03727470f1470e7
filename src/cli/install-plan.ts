/**
 * What `p2prc install` puts outside the home, as a list that can be shown before and undone after.
 * Pure: it says where things belong on this machine and what is in them, and touches nothing.
 */

import { dirname, join } from "node:path";
import { completionScript, type Shell } from "./completion-scripts.ts";
import type { Machine } from "./machine.ts";

/** A symbolic link, a file of ours, a line in somebody else's file, or a service. */
export type Step =
  | { readonly kind: "link"; readonly path: string; readonly target: string }
  | { readonly kind: "file"; readonly path: string; readonly content: string }
  | { readonly kind: "line"; readonly path: string; readonly line: string }
  | { readonly kind: "service"; readonly manager: "systemd" | "launchd"; readonly name: string; readonly path: string };

export interface PlanOptions {
  readonly home: string;
  /** Shells that are on this machine. */
  readonly shells: readonly Shell[];
  readonly service: boolean;
}

export const SYSTEMD_UNIT = "p2prc.service";
const LAUNCHD_LABEL = "p2prc.node";

export function installPlan(machine: Machine, { home, shells, service }: PlanOptions): readonly Step[] {
  const link: Step = {
    kind: "link",
    path: join(machine.userFolder, ".local", "bin", "p2prc"),
    target: launcher(machine),
  };
  return [
    link,
    ...shells.flatMap((shell) => completionSteps(shell, machine)),
    ...(service ? serviceSteps(machine, home) : []),
  ];
}

/** In a source folder the launcher, which sees to Node and the libraries; in the package the program itself. */
export function launcher({ bin }: Pick<Machine, "bin">): string {
  return bin.endsWith(".ts") ? join(dirname(bin), "..", "..", "p2prc") : bin;
}

export function describeStep(step: Step): string {
  switch (step.kind) {
    case "link":
      return `${step.path} -> ${step.target}`;
    case "file":
      return step.path;
    case "line":
      return `${step.path}: ${step.line}`;
    case "service":
      return `${step.manager} service ${step.name}: starts with this machine, lends to my own nodes and those I invited`;
  }
}

function completionSteps(shell: Shell, machine: Machine): readonly Step[] {
  const data = folder(machine, "XDG_DATA_HOME", ".local/share");
  const content = completionScript(shell);
  switch (shell) {
    case "bash": // found there by bash-completion when it is needed
      return [{ kind: "file", path: join(data, "bash-completion", "completions", "p2prc"), content }];
    case "fish":
      return [
        {
          kind: "file",
          path: join(folder(machine, "XDG_CONFIG_HOME", ".config"), "fish", "completions", "p2prc.fish"),
          content,
        },
      ];
    case "zsh": {
      // zsh looks nowhere in the user's own folder by itself, so .zshrc must say it.
      const path = join(data, "zsh", "site-functions", "_p2prc");
      const startup = join(machine.environment["ZDOTDIR"] ?? machine.userFolder, ".zshrc");
      return [
        { kind: "file", path, content },
        { kind: "line", path: startup, line: `[ -r ${quoted(path)} ] && . ${quoted(path)} # added by p2prc install` },
      ];
    }
  }
}

function serviceSteps(machine: Machine, home: string): readonly Step[] {
  if (machine.platform === "linux") {
    const path = join(folder(machine, "XDG_CONFIG_HOME", ".config"), "systemd", "user", SYSTEMD_UNIT);
    return [
      { kind: "file", path, content: systemdUnit(machine, home) },
      { kind: "service", manager: "systemd", name: SYSTEMD_UNIT, path },
    ];
  }
  if (machine.platform === "darwin") {
    const path = join(machine.userFolder, "Library", "LaunchAgents", `${LAUNCHD_LABEL}.plist`);
    return [
      { kind: "file", path, content: launchdAgent(machine, home) },
      { kind: "service", manager: "launchd", name: LAUNCHD_LABEL, path },
    ];
  }
  return [];
}

/** The settings are those of `examples/p2prc.service`, which says why each of them is there. */
export function systemdUnit(machine: Pick<Machine, "bin">, home: string): string {
  const words = [launcher(machine), "serve", "--home", home].map(systemdQuoted).join(" ");
  return `[Unit]
Description=P2PRC node

[Service]
ExecStart=${words}
Restart=on-failure
RestartSec=5
TimeoutStopSec=30
LimitNOFILE=65536
NoNewPrivileges=yes
UMask=0077
RestrictRealtime=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
KeyringMode=private
LimitCORE=0
MemoryHigh=75%
OOMPolicy=continue
OOMScoreAdjust=100

[Install]
WantedBy=default.target
`;
}

function launchdAgent(machine: Machine, home: string): string {
  const words = [launcher(machine), "serve", "--home", home]
    .map((word) => `    <string>${escaped(word)}</string>`)
    .join("\n");
  return `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
  <key>Label</key><string>${LAUNCHD_LABEL}</string>
  <key>ProgramArguments</key>
  <array>
${words}
  </array>
  <key>RunAtLoad</key><true/>
  <key>KeepAlive</key><dict><key>SuccessfulExit</key><false/></dict>
</dict>
</plist>
`;
}

function folder({ environment, userFolder }: Machine, variable: string, fallback: string): string {
  const named = environment[variable];
  return named === undefined || named === "" ? join(userFolder, fallback) : named;
}

/** For a POSIX shell. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** systemd.service(5), "Command lines": specifiers and variables are written twice. */
function systemdQuoted(text: string): string {
  const safe = text.replaceAll("%", "%%").replaceAll("$", "$$$$");
  return /^[\w./@%$+:=-]+$/.test(safe) ? safe : `"${safe.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
