/** p2prc touch: start a sandbox on a node. */

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
import { printJson } from "../io.ts";
import { seedShape } from "../seed-box.ts";

interface Flags extends WishFlags {
  readonly seed?: boolean;
}

export const touch = command<Flags>({
  arguments: [
    { name: "[node]", summary: "name, id or address of the node", completes: "nodes" },
    { name: "[command...]", summary: "behind `--`: what runs in it from the start; `p2prc logs` shows its output" },
  ],
  takesCommand: true,
  options: [...wishOptions, { flags: "--seed", summary: "in the format of `p2prc --touch`", hidden: true }],
  about:
    "It lives until its time is over or it is removed, whether or not this machine is there. With --near the joined nodes are asked, the nearest first, and the first that has what is wanted gets it.",
  examples: [
    { command: "p2prc touch attic", about: "what the node gives by default" },
    {
      command: "p2prc touch attic --image debian:bookworm --cpus 2 --memory 4G --ttl 8h --ports 2 --name box",
      about: "more of it",
    },
    { command: "p2prc touch attic -- python3 -m http.server", about: "with something that runs in it" },
    { command: "p2prc touch --near --gpu 12G", about: "the nearest node with such a GPU" },
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
    const box = await startBox(client, request, io);
    const took = formatTook(io.clock.now() - begun);
    if (flags.seed === true) {
      io.out(JSON.stringify(seedShape(box), undefined, 2));
      return;
    }
    if (json) return printJson(io, box);
    const ends = `ends ${formatEnd(box.sandbox.expires, io.clock.wallTime())}`;
    const ssh = box.sandbox.hostKey === undefined ? `p2prc exec ${box.sandbox.name}` : sshCommand(box);
    io.out(
      [`${box.sandbox.name} on ${box.node.name}`, `${box.sandbox.state} (${took})`, ends, ssh].join("   "),
      "good",
    );
    for (const line of portLines(box)) io.out(line);
  },
});
