/** p2prc resume: let a frozen sandbox go on. */

import { command } from "../command.ts";
import { guestArgument, guestFields, printGuest } from "../guest-boxes.ts";

export const resume = command({
  arguments: [guestArgument],
  about: "Also one that was frozen because its walls did not hold or its disk was full.",
  examples: [{ command: "p2prc resume box", about: "`p2prc ps --guests` lists them" }],
  json: guestFields,

  async run({ args: [name = ""], home, json }, io) {
    await using client = await io.open({ home });
    printGuest({ sandbox: await client.resumeGuest(name, io.signal), did: "goes on", json }, io);
  },
});
