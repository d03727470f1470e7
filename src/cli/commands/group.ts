/** p2prc group: sets of sandboxes, to be named like one. */

import { cleanText, Failure } from "../../core/light.ts";
import type { Group } from "../../sandbox/index.ts";
import type { Client } from "../../client/index.ts";
import { boxFields, formatEnd, formatLeft, formatState, sandboxCount } from "../boxes.ts";
import { formatColumns } from "../columns.ts";
import { command, type Input } from "../command.ts";
import { type Io, printJson } from "../io.ts";
import { parseTunnelPorts, type TunnelFlags, tunnelGroup } from "../group-tunnel.ts";
import { seedGroup } from "../seed-group.ts";

interface Flags extends TunnelFlags {
  readonly seed?: boolean;
}

type Asked = Input<Flags>;

export const group = command<Flags>({
  arguments: [
    {
      name: "<what>",
      summary: "create, add, remove, ls, show, rm (or delete) or tunnel",
      choices: ["create", "add", "remove", "ls", "show", "rm", "delete", "tunnel"],
    },
    {
      name: "[words...]",
      summary:
        "create <group> [box...], add <group> <box...>, remove <group> <box...>, show <group>, rm <group...>, tunnel <group>",
      completes: "boxes",
    },
  ],
  options: [
    {
      flags: "--port <ports>",
      summary: "with `tunnel`: carry 8786, 9000-9009, or box2:9100-9109 of one alone; again for more",
      repeatable: true,
      parse: parseTunnelPorts,
    },
    { flags: "--stop", summary: "with `tunnel`: carry nothing any more" },
    { flags: "--seed", summary: "in the format of `p2prc --groups`", hidden: true },
  ],
  about: [
    "A group is named wherever a sandbox is: `exec`, `cp`, `logs`, `extend` and `rm` work on all of it at the same time, with the name of the sandbox before each line of output and one exit code, that of the first that failed; `ssh` enters the first. `p2prc touch --count 3 --near --group farm` makes sandboxes and their group in one go.",
    "A sandbox may be in several groups. One that was removed with `p2prc rm` leaves them; one that ended in another way is told of until `p2prc group remove` takes it out. `group rm` forgets the group and leaves its sandboxes; `p2prc rm <group>` ends them too.",
    "`group tunnel` lets the sandboxes of a group reach each other, and nobody else: each has an address out of 127.77.0.0/16, which is the same in all of them, and its name where /etc/hosts can be written. What one connects to a port of another that was named with `--port` is carried there through this machine; a server listens on its own address or on 127.0.0.1, and is counted as a port by the grant of its node. `--port` again adds to it, and takes in who has come to the group; without it, the command shows what is carried. It is made again when the daemon has been started anew, and ends with the group.",
  ].join("\n\n"),
  examples: [
    { command: "p2prc group create farm box1 box2 box3", about: "of sandboxes that are there" },
    { command: "p2prc exec farm -- uname -a", about: "in all of them at once" },
    { command: "p2prc group ls", about: "which there are" },
    { command: "p2prc group show farm", about: "its sandboxes" },
    { command: "p2prc group remove farm box2", about: "take one out; it lives on" },
    { command: "p2prc group tunnel farm --port 8786 --port 9000-9009", about: "ports that they have for each other" },
    { command: "p2prc group tunnel farm --stop", about: "end that" },
    { command: "p2prc --groups", about: "as the first P2PRC took it, and its JSON" },
  ],
  json: {
    id: "`grp` and a UUID; one object a line with `ls` and with several groups",
    name: "its name",
    made: "when, in milliseconds since 1970",
    members: "id, name, box (absent: it has ended), in the order in which they were added",
    ...boxFields("members[].box."),
    group: "with `tunnel`: the name of the group",
    "members[].address": "with `tunnel`: where all of the group reach it",
    "members[].state": "with `tunnel`: joining, joined, away (it is tried again) or ended",
    "members[].why": "with `tunnel`: why it is away",
    "members[].names": "with `tunnel`: whether the names of all are in its /etc/hosts",
    "members[].taken": "with `tunnel`: places of others that something inside has taken",
    "members[].ports[]": "with `tunnel`: port, open, total (connections) and bytes, both ways",
    open: "with `tunnel`: connections that are open now",
    refused: "with `tunnel`: connections that found nobody",
  },

  async run(input, io) {
    const [what = "ls", ...words] = input.args;
    if (what !== "tunnel" && (input.flags.port !== undefined || input.flags.stop === true))
      throw usage("p2prc group tunnel <group> [--port <ports>]... [--stop]");
    await using client = await io.open({ home: input.home });
    await (WORK[what] ?? list)(client, { ...input, args: words }, io);
  },
});

const WORK: Readonly<Record<string, (client: Client, input: Asked, io: Io) => Promise<void>>> = {
  create,
  add,
  remove,
  show,
  rm: forget,
  delete: forget,
  tunnel,
};

async function create(client: Client, { args: [name, ...boxes], ...input }: Asked, io: Io): Promise<void> {
  // The first P2PRC took no name.
  if (name === undefined && input.flags.seed !== true) throw usage("p2prc group create <group> [box...]");
  const made = await client.createGroup({ ...(name === undefined ? {} : { name }), boxes }, io.signal);
  await told(client, { group: made, did: `made, with ${sandboxCount(made.members.length)}`, ...input }, io);
}

async function add(client: Client, { args: [name, ...boxes], ...input }: Asked, io: Io): Promise<void> {
  if (name === undefined || boxes.length === 0) throw usage("p2prc group add <group> <box...>");
  const changed = await client.addToGroup(name, boxes, io.signal);
  await told(client, { group: changed, did: `has ${sandboxCount(changed.members.length)} now`, ...input }, io);
}

async function remove(client: Client, { args: [name, ...boxes], ...input }: Asked, io: Io): Promise<void> {
  if (name === undefined || boxes.length === 0) throw usage("p2prc group remove <group> <box...>");
  let changed: Group | undefined;
  for (const box of boxes) changed = await client.takeFromGroup(name, box, io.signal);
  if (changed === undefined) return;
  await told(client, { group: changed, did: `has ${sandboxCount(changed.members.length)} now`, ...input }, io);
}

async function forget(client: Client, { args, flags, json }: Asked, io: Io): Promise<void> {
  if (args.length === 0) throw usage("p2prc group rm <group...>");
  if (args.length > 1) await areGroups(client, args, io);
  for (const name of args) {
    const { members, ...gone } = await client.removeGroup(name, io.signal);
    if (flags.seed === true) io.out("Success");
    else if (json) printJson(io, { ...gone, members });
    else io.out(`${gone.name} is no group any more; its ${sandboxCount(members.length)} live on`);
  }
}

/** So that none is removed where a word is no group, but a sandbox that was to be taken out. @throws {Failure} not-found */
async function areGroups(client: Client, [first = "", ...others]: readonly string[], io: Io): Promise<void> {
  const { name, members } = await client.group(first, { exact: false }, io.signal);
  for (const word of others) {
    if (!members.some((member) => member.name === word)) await client.group(word, { exact: false }, io.signal);
    else {
      throw new Failure("bad-argument", `${word} is a sandbox in ${name}: nothing was removed`, {
        hint: `\`p2prc group remove ${name} ${word}\` takes it out`,
      });
    }
  }
}

async function tunnel(client: Client, { args: [name, ...more], flags, json }: Asked, io: Io): Promise<void> {
  if (name === undefined || more.length > 0) throw usage("p2prc group tunnel <group> [--port <ports>]... [--stop]");
  await tunnelGroup(client, { group: name, flags, json }, io);
}

async function show(client: Client, { args: [name, ...more], ...input }: Asked, io: Io): Promise<void> {
  if (name === undefined || more.length > 0) throw usage("p2prc group show <group>");
  const found = await client.group(name, { exact: false }, io.signal);
  if (input.json || input.flags.seed === true) return await told(client, { group: found, did: "", ...input }, io);
  if (found.members.length === 0) return io.err(`${found.name} is empty: \`p2prc group add ${found.name} BOX\``);
  const now = io.clock.wallTime();
  const rows = found.members.map(({ name: member, box }) => {
    if (box === undefined) return [member, "", "", "has ended"];
    const { expires } = box.sandbox;
    return [member, box.node.name, `${formatEnd(expires, now)} (${formatLeft(expires, now)})`, formatState(box)];
  });
  io.out(formatColumns(titled("NAME", "NODE", "ENDS", "STATE"), rows).join("\n"));
}

async function list(client: Client, { args, flags, json }: Asked, io: Io): Promise<void> {
  if (args.length > 0) throw usage("p2prc group ls");
  const { groups } = await client.groups(io.signal);
  if (flags.seed === true) {
    const { nodes } = await client.nodes({ all: false }, io.signal);
    return printSeed(io, { Groups: groups.length === 0 ? null : groups.map((one) => seedGroup(one, nodes)) });
  }
  if (json) {
    for (const one of groups) printJson(io, one);
    return;
  }
  if (groups.length === 0) return io.err("you have no group: `p2prc group create farm BOX…` makes one");
  const rows = groups.map(({ name, members }) => {
    const ended = members.filter(({ box }) => box === undefined).length;
    const names = members.map((member) => member.name).join(" ");
    return [name, String(members.length), ended === 0 ? names : `${names} (${ended} of them ended)`];
  });
  io.out(formatColumns(titled("NAME", "SIZE", "SANDBOXES"), rows).join("\n"));
}

interface Told extends Pick<Asked, "flags" | "json"> {
  readonly group: Group;
  readonly did: string;
}

async function told(client: Client, { group: of, did, flags, json }: Told, io: Io): Promise<void> {
  if (flags.seed === true) return printSeed(io, seedGroup(of, (await client.nodes({ all: false }, io.signal)).nodes));
  if (json) return printJson(io, of);
  io.out(`${cleanText(of.name, 64)} ${did}`);
}

function printSeed(io: Io, value: object): void {
  io.out(JSON.stringify(value, undefined, 2));
}

function titled(...titles: readonly string[]) {
  return titles.map((title) => ({ title }));
}

function usage(form: string): Failure {
  return new Failure("bad-argument", "these are not the words for it", { hint: `usage: ${form}` });
}
