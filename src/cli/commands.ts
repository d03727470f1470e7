/**
 * Every command, by name. The modules behind them are loaded when their turn comes: starting up
 * must not cost what the others need.
 */

import { type CommandRow, groups } from "./command.ts";

const [others, boxes, own, access, program] = groups;

export const commands: readonly CommandRow[] = [
  {
    name: "join",
    group: others,
    summary: "accept an invite: its node becomes a friend of this one",
    load: async () => (await import("./commands/join.ts")).join,
  },
  {
    name: "add",
    group: others,
    summary: "add a node by hand, by its address",
    load: async () => (await import("./commands/add.ts")).add,
  },
  {
    name: "update",
    group: others,
    summary: "walk the network hop by hop and learn who is there",
    load: async () => (await import("./commands/update.ts")).update,
  },
  {
    name: "ls",
    group: others,
    summary: "list the nodes that can be used, nearest first",
    load: async () => (await import("./commands/ls.ts")).ls,
  },
  {
    name: "info",
    group: others,
    summary: "show all that is known of a node",
    load: async () => (await import("./commands/info.ts")).info,
  },
  {
    name: "ping",
    group: others,
    summary: "measure the round trip to a node, until Ctrl-C",
    load: async () => (await import("./commands/ping.ts")).ping,
  },
  {
    name: "speed",
    group: others,
    summary: "measure how fast data goes to and from a node",
    load: async () => (await import("./commands/speed.ts")).speed,
  },
  {
    name: "why",
    group: others,
    summary: "tell how a node was reached, or why it was not",
    load: async () => (await import("./commands/why.ts")).why,
  },
  {
    name: "rename",
    group: others,
    summary: "give a node another name, here only",
    load: async () => (await import("./commands/rename.ts")).rename,
  },
  {
    name: "forget",
    group: others,
    summary: "take a node out of the table",
    load: async () => (await import("./commands/forget.ts")).forget,
  },

  {
    name: "touch",
    group: boxes,
    summary: "start a sandbox on a node",
    load: async () => (await import("./commands/touch.ts")).touch,
  },
  {
    name: "run",
    group: boxes,
    summary: "start a sandbox, run a command in it, remove it",
    load: async () => (await import("./commands/run.ts")).run,
  },
  {
    name: "exec",
    group: boxes,
    summary: "run a command in a sandbox, or a shell",
    load: async () => (await import("./commands/exec.ts")).exec,
  },
  {
    name: "ssh",
    group: boxes,
    summary: "enter a sandbox with the ssh of this machine",
    load: async () => (await import("./commands/ssh.ts")).ssh,
  },
  {
    name: "ssh-config",
    group: boxes,
    summary: "let ssh, scp, rsync and editors know the sandboxes",
    load: async () => (await import("./commands/ssh-config.ts")).sshConfig,
  },
  {
    name: "cp",
    group: boxes,
    summary: "copy files into a sandbox, or out of it",
    load: async () => (await import("./commands/cp.ts")).cp,
  },
  {
    name: "port",
    group: boxes,
    summary: "open a port of a sandbox on this machine",
    load: async () => (await import("./commands/port.ts")).port,
  },
  {
    name: "group",
    group: boxes,
    summary: "name sets of sandboxes, to work on all of them at once",
    load: async () => (await import("./commands/group.ts")).group,
  },
  {
    name: "plugin",
    group: boxes,
    summary: "run instructions on many sandboxes: keep them, check them, run them",
    load: async () => (await import("./commands/plugin.ts")).plugin,
  },
  {
    name: "image",
    group: boxes,
    summary: "push images of this machine to a node, list and remove them",
    load: async () => (await import("./commands/image.ts")).image,
  },
  {
    name: "map",
    group: boxes,
    summary: "run a command over many inputs, in many sandboxes",
    load: async () => (await import("./commands/map.ts")).map,
  },
  {
    name: "ps",
    group: boxes,
    summary: "list the sandboxes that one has, or that others have here",
    load: async () => (await import("./commands/ps.ts")).ps,
  },
  {
    name: "top",
    group: boxes,
    summary: "show what sandboxes use, as it changes",
    load: async () => (await import("./commands/top.ts")).top,
  },
  {
    name: "extend",
    group: boxes,
    summary: "let a sandbox live longer",
    load: async () => (await import("./commands/extend.ts")).extend,
  },
  {
    name: "rm",
    group: boxes,
    summary: "end sandboxes, with all that is in them",
    load: async () => (await import("./commands/rm.ts")).rm,
  },

  {
    name: "serve",
    group: own,
    summary: "lend this machine to those who may use it, until Ctrl-C",
    load: async () => (await import("./commands/serve.ts")).serve,
  },
  {
    name: "lend",
    group: own,
    summary: "turn lending on or off, and say how much is lent",
    load: async () => (await import("./commands/lend.ts")).lend,
  },
  {
    name: "status",
    group: own,
    summary: "show how this node is",
    load: async () => (await import("./commands/status.ts")).status,
  },
  { name: "stop", group: own, summary: "end the daemon", load: async () => (await import("./commands/stop.ts")).stop },
  {
    name: "logs",
    group: own,
    summary: "show what a sandbox or the daemon wrote",
    load: async () => (await import("./commands/logs.ts")).logs,
  },
  {
    name: "usage",
    group: own,
    summary: "show who used how much of this machine",
    load: async () => (await import("./commands/usage.ts")).usage,
  },
  {
    name: "pause",
    group: own,
    summary: "freeze a guest's sandbox",
    load: async () => (await import("./commands/pause.ts")).pause,
  },
  {
    name: "resume",
    group: own,
    summary: "let a frozen sandbox go on",
    load: async () => (await import("./commands/resume.ts")).resume,
  },
  {
    name: "kick",
    group: own,
    summary: "end a guest's sandbox at once",
    load: async () => (await import("./commands/kick.ts")).kick,
  },
  {
    name: "panic",
    group: own,
    summary: "freeze everything that others run here, at once",
    load: async () => (await import("./commands/panic.ts")).panic,
  },
  {
    name: "doctor",
    group: own,
    summary: "tell whether this machine can lend safely, and what to mend",
    load: async () => (await import("./commands/doctor.ts")).doctor,
  },

  {
    name: "invite",
    group: access,
    summary: "make a link that lets somebody use this machine",
    load: async () => (await import("./commands/invite.ts")).invite,
  },
  {
    name: "invites",
    group: access,
    summary: "list the open invites, or take one back",
    load: async () => (await import("./commands/invites.ts")).invites,
  },
  {
    name: "grants",
    group: access,
    summary: "list who may use this machine, and how",
    load: async () => (await import("./commands/grants.ts")).grants,
  },
  {
    name: "grant",
    group: access,
    summary: "change what a guest may do here",
    load: async () => (await import("./commands/grant.ts")).grant,
  },
  {
    name: "revoke",
    group: access,
    summary: "end what a guest may do here, at once",
    load: async () => (await import("./commands/revoke.ts")).revoke,
  },

  {
    name: "demo",
    group: program,
    summary: "show it all with three nodes on this machine",
    load: async () => (await import("./commands/demo.ts")).demo,
  },
  {
    name: "install",
    group: program,
    summary: "put p2prc in PATH, complete its words, start it with the machine",
    load: async () => (await import("./commands/install.ts")).install,
  },
  {
    name: "uninstall",
    group: program,
    summary: "take all of that back",
    load: async () => (await import("./commands/uninstall.ts")).uninstall,
  },
  {
    name: "completion",
    group: program,
    summary: "print the completion script of a shell",
    load: async () => (await import("./commands/completion.ts")).completion,
  },
  {
    name: "version",
    group: program,
    summary: "print the version of this program and of the daemon",
    load: async () => (await import("./commands/version.ts")).version,
  },
  {
    name: "help",
    group: program,
    summary: "explain a command",
    load: async () => (await import("./commands/help.ts")).help,
  },

  {
    name: "__complete",
    group: program,
    summary: "print what may follow on the command line",
    hidden: true,
    raw: true,
    load: async () => (await import("./commands/complete.ts")).complete,
  },
  {
    name: "ssh-proxy",
    group: program,
    summary: "be a pipe into a sandbox, for ssh",
    hidden: true,
    load: async () => (await import("./commands/ssh-proxy.ts")).sshProxy,
  },
];
