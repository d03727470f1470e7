/** p2prc touch: start a sandbox on a node. */

import type { Box } from "../../sandbox/index.ts";
import { command } from "../command.ts";
import {
  boxFields,
  formatEnd,
  portLines,
  sshCommand,
  startBox,
  type WishFlags,
  wishOf,
  wishOptions,
} from "../boxes.ts";
import { formatTook } from "../format.ts";
import { type Io, printJson } from "../io.ts";
import { openGroup, startBoxes } from "../many-boxes.ts";
import { wholeNumber } from "../options.ts";
import { seedShape } from "../seed-box.ts";

interface Flags extends WishFlags {
  readonly count?: number;
  readonly group?: string;
  readonly seed?: boolean;
}

export const touch = command<Flags>({
  arguments: [
    { name: "[node]", summary: "name, id or address of the node", completes: "nodes" },
    { name: "[command...]", summary: "behind `--`: what runs in it from the start; `p2prc logs` shows its output" },
  ],
  takesCommand: true,
  options: [
    ...wishOptions,
    {
      flags: "--count <number>",
      summary: "so many of them: box1, box2, … (or what --name says); with --near spread over the nearest nodes",
      parse: wholeNumber("--count", 1, 500),
    },
    { flags: "--group <name>", summary: "put them into this group, which is made where there is none" },
    { flags: "--seed", summary: "in the format of `p2prc --touch`", hidden: true },
  ],
  about:
    "It lives until its time is over or it is removed, whether or not this machine is there. With --near the joined nodes are asked, the nearest first, and the first that has what is wanted gets it. With --count several are started at the same time, and shown as they come (with --json one object a line); those that could be started stay when others could not.",
  examples: [
    { command: "p2prc touch attic", about: "what the node gives by default" },
    {
      command: "p2prc touch attic --image debian:bookworm --cpus 2 --memory 4G --ttl 8h --ports 2 --name box",
      about: "more of it",
    },
    { command: "p2prc touch attic -- python3 -m http.server", about: "with something that runs in it" },
    { command: "p2prc touch --near --gpu 12G", about: "the nearest node with such a GPU" },
    { command: "p2prc touch --count 3 --near --group farm", about: "three, on three nodes, and a name for all" },
    { command: "p2prc --touch 192.0.2.7 --ports 2 --GPU", about: "as the first P2PRC took it, and its JSON" },
  ],
  json: boxFields(""),

  async run({ args: [node, ...words], rest = [], flags, home, json }, io) {
    const command = [...words, ...rest];
    const request = {
      ...wishOf(flags),
      ...(node === undefined ? {} : { node }),
      ...(command.length === 0 ? {} : { command }),
    };
    await using client = await io.open({ home });
    const begun = io.clock.now();
    const took = () => formatTook(io.clock.now() - begun);
    const { count, group } = flags;
    if (count !== undefined) {
      const onBox = (box: Box) => print(box, { took: took(), json }, io);
      return await startBoxes(client, { request, count, group, onBox }, io);
    }
    const join = await openGroup(client, group, io);
    const box = await startBox(client, request, io).catch(async (error: unknown) => {
      await join.add([]);
      throw error;
    });
    await join.add([box]);
    if (flags.seed === true) {
      io.out(JSON.stringify(seedShape(box), undefined, 2));
      return 0;
    }
    print(box, { took: took(), json }, io);
    return 0;
  },
});

function print(box: Box, { took, json }: { readonly took: string; readonly json: boolean }, io: Io): void {
  if (json) {
    printJson(io, box);
    return;
  }
  const { name, state, expires, hostKey } = box.sandbox;
  const ends = `ends ${formatEnd(expires, io.clock.wallTime())}`;
  const ssh = hostKey === undefined ? `p2prc exec ${name}` : sshCommand(box);
  io.out([`${name} on ${box.node.name}`, `${state} (${took})`, ends, ssh].join("   "), "good");
  for (const line of portLines(box)) io.out(line);
}
