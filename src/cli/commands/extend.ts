/** p2prc extend: let a sandbox live longer. */

import type { Client } from "../../client/index.ts";
import { parseDuration } from "../../core/light.ts";
import { boxFields, formatEnd, formatLeft } from "../boxes.ts";
import { command } from "../command.ts";
import { groupCalled, onEach } from "../group-work.ts";
import { type Io, printJson } from "../io.ts";

export const extend = command({
  arguments: [
    { name: "<box>", summary: "name or id of the sandbox, or of a group", completes: "boxes" },
    { name: "<duration>", summary: "how long from now, as in 4h" },
  ],
  about:
    "From now, not from its end; at most what the grant there allows. Of a group, --json prints one object a line.",
  examples: [{ command: "p2prc extend box 4h", about: "until four hours from now" }],
  json: boxFields(""),

  async run({ args: [name = "", duration = ""], home, json }, io) {
    const lifetimeMs = parseDuration(duration);
    await using client = await io.open({ home });
    io.progress(`reaching ${name}`);
    const group = await groupCalled(client, name, io.signal);
    if (group === undefined) return await one(client, { name, lifetimeMs, json }, io);
    return await onEach(group, ({ sandbox }) => one(client, { name: sandbox.id, lifetimeMs, json }, io), io);
  },
});

interface Wish {
  readonly name: string;
  readonly lifetimeMs: number;
  readonly json: boolean;
}

async function one(client: Client, { name, lifetimeMs, json }: Wish, io: Io): Promise<void> {
  const box = await client.extend(name, lifetimeMs, io.signal);
  if (json) return printJson(io, box);
  const [{ expires }, now] = [box.sandbox, io.clock.wallTime()];
  io.out(`${box.sandbox.name} ends ${formatEnd(expires, now)} (${formatLeft(expires, now)})`);
}
