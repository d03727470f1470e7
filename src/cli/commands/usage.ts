/** p2prc usage: who used how much of this machine, also of what has ended? */

import { shortNodeId } from "../../core/light.ts";
import { type Column, formatColumns } from "../columns.ts";
import { command } from "../command.ts";
import { formatDecimalBytes } from "../format.ts";
import { formatTime } from "../grants.ts";
import { printJson } from "../io.ts";

const columns: readonly Column[] = [
  { title: "GUEST" },
  { title: "ID" },
  { title: "SANDBOXES", align: "right" },
  { title: "CPU", align: "right" },
  { title: "MEMORY", align: "right" },
  { title: "RECEIVED", align: "right" },
  { title: "SENT", align: "right" },
  { title: "THROUGH LINKS", align: "right" },
  { title: "FIRST" },
  { title: "LAST" },
];

export const usage = command({
  about: "CPU in hours of one core, memory in GiB-hours, traffic of the sandboxes and through the links of this node.",
  examples: [{ command: "p2prc usage", about: "by guest" }],
  json: {
    guests: "list of guests",
    "guests[].guest": "the guest's key",
    "guests[].guestName": "its name here",
    "guests[].sandboxes": "how many it has had",
    "guests[].cpuMs": "milliseconds of one core",
    "guests[].memoryByteSeconds": "memory over time",
    "guests[].receivedBytes": "that came in from the internet",
    "guests[].sentBytes": "that went out to it",
    "guests[].linkBytes": "of exec, ports, SSH and files",
    "guests[].first": "when it began",
    "guests[].last": "when it was last measured",
  },

  async run({ home, json }, io) {
    await using client = await io.open({ home });
    const reply = await client.usage(io.signal);
    if (json) return printJson(io, reply);
    if (reply.guests.length === 0) {
      io.err("nobody has used this machine yet");
      return;
    }
    const rows = reply.guests.map((row) => [
      row.guestName,
      shortNodeId(row.guest),
      String(row.sandboxes),
      `${(row.cpuMs / 3_600_000).toFixed(2)} h`,
      `${(row.memoryByteSeconds / 3_600 / 2 ** 30).toFixed(2)} GiB h`,
      formatDecimalBytes(row.receivedBytes),
      formatDecimalBytes(row.sentBytes),
      formatDecimalBytes(row.linkBytes),
      formatTime(row.first),
      formatTime(row.last),
    ]);
    const [titles = "", ...lines] = formatColumns(columns, rows);
    io.out(titles, "bold");
    for (const line of lines) io.out(line);
  },
});
