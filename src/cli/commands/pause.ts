/** p2prc pause: freeze a guest's sandbox. */

import { command } from "../command.ts";
import { guestArgument, guestFields, printGuest } from "../guest-boxes.ts";

export const pause = command({
  arguments: [guestArgument],
  about: "Nothing in it runs until `p2prc resume`; its time goes on, and its guest sees that you paused it.",
  examples: [{ command: "p2prc pause box", about: "`p2prc ps --guests` lists them" }],
  json: guestFields,

  async run({ args: [name = ""], home, json }, io) {
    await using client = await io.open({ home });
    printGuest({ sandbox: await client.pauseGuest(name, io.signal), did: "is frozen", json }, io);
  },
});
