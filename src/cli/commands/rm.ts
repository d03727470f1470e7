/** p2prc rm: end sandboxes, with all that is in them. */

import type { Client } from "../../client/index.ts";
import { Failure } from "../../core/light.ts";
import { command } from "../command.ts";
import { groupCalled, onEach } from "../group-work.ts";
import { type Io, printJson } from "../io.ts";

export const rm = command({
  arguments: [{ name: "<box...>", summary: "names or ids of sandboxes, or of groups", completes: "boxes" }],
  about:
    "What is in them is gone. Where a node does not answer, the removal is remembered and done as soon as it does; the name is free at once. A group goes with its sandboxes; `p2prc group rm` forgets the group alone.",
  examples: [
    { command: "p2prc rm box", about: "one" },
    { command: "p2prc rm farm", about: "a group, and all that is in it" },
    { command: "p2prc rm $(p2prc ps --json | jq -r '.boxes[].sandbox.id')", about: "all" },
  ],
  json: {
    id: "of the sandbox; one object a line where several were named",
    name: "its name",
    node: "id and name of its node",
    done: "whether its node has confirmed it; else it is told later",
  },

  async run({ args, home, json }, io) {
    await using client = await io.open({ home });
    let failed: Failure | undefined;
    let code = 0;
    for (const name of args) {
      io.progress(`removing ${name}`);
      try {
        const ended = await removeNamed(client, { name, json }, io);
        if (code === 0) code = ended;
      } catch (error) {
        // The others are removed all the same.
        if (!(error instanceof Failure) || args.length === 1) throw error;
        if (failed !== undefined) io.err(`p2prc: ${failed.message}`, "bad");
        failed = error;
      }
    }
    if (failed !== undefined) throw failed;
    return code;
  },
});

interface Named {
  readonly name: string;
  readonly json: boolean;
}

/** @returns an exit code */
async function removeNamed(client: Client, { name, json }: Named, io: Io): Promise<number> {
  const group = await groupCalled(client, name, io.signal);
  if (group === undefined) {
    await removeOne(client, { name, json }, io);
    return 0;
  }
  const members = group.members.filter(({ box }) => box !== undefined); // the others have ended already
  const remove = () =>
    onEach({ ...group, members }, ({ sandbox }) => removeOne(client, { name: sandbox.id, json }, io), io);
  const code = members.length === 0 ? 0 : await remove();
  if (code === 0) await client.removeGroup(group.id, io.signal);
  return code;
}

async function removeOne(client: Client, { name, json }: Named, io: Io): Promise<void> {
  const reply = await client.removeBox(name, io.signal);
  if (json) printJson(io, reply);
  else if (reply.done) io.out(`removed ${reply.name} from ${reply.node.name}`);
  else io.out(`${reply.node.name} has not confirmed it: ${reply.name} is removed there as soon as it can`, "warn");
}
