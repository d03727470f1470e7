/** p2prc speed: how fast does data go to and from this node? */

import { cleanText } from "../../core/light.ts";
import { command } from "../command.ts";
import { formatFields } from "../columns.ts";
import { formatDecimalBytes, formatPath, formatRate } from "../format.ts";
import { printJson } from "../io.ts";
import { lastOf } from "../steps.ts";
import { rounded } from "../rounded.ts";

export const speed = command({
  arguments: [{ name: "<node>", summary: "name, id or address of the node", completes: "nodes" }],
  about:
    "Moves up to 50 MB, for up to 10 s, in each direction; the receiver counts. The other node allows only so many an hour.",
  examples: [{ command: "p2prc speed attic", about: "download, then upload" }],
  json: {
    id: "the node's key",
    name: "its name here",
    path: "what carried it: tcp6, tcp4, punched, relayed",
    via: "the name of the node that passed it on; absent where none did",
    downBytesPerSecond: "from that node to this one",
    upBytesPerSecond: "from this node to that one",
    down: "bytes, ms",
    up: "bytes, ms",
  },

  async run({ args: [node = ""], home, json }, io) {
    await using client = await io.open({ home });
    const result = await lastOf(client.speed(node, io.signal), ({ direction, bytes, bytesPerSecond }) =>
      io.progress(
        `${direction === "down" ? "from" : "to"} ${cleanText(node, 64)}: ${formatDecimalBytes(bytes)}, ${formatRate(bytesPerSecond)}`,
      ),
    );
    if (json) return printJson(io, rounded(result));
    const { down, up } = result;
    const lines = formatFields([
      [
        "Down",
        `${formatRate(result.downBytesPerSecond)}  (${formatDecimalBytes(down.bytes)} in ${(down.ms / 1000).toFixed(2)} s)`,
      ],
      [
        "Up",
        `${formatRate(result.upBytesPerSecond)}  (${formatDecimalBytes(up.bytes)} in ${(up.ms / 1000).toFixed(2)} s)`,
      ],
      ["Path", formatPath(result)],
    ]);
    io.out(lines.join("\n"));
  },
});
