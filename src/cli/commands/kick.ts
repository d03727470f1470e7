/** p2prc kick: end a guest's sandbox at once. */

import { command } from "../command.ts";
import { guestArgument, guestFields, printGuest } from "../guest-boxes.ts";

export const kick = command({
  arguments: [guestArgument],
  about: "Its guest may start another one as long as the grant holds: `p2prc revoke` ends that as well.",
  examples: [{ command: "p2prc kick box", about: "`p2prc ps --guests` lists them" }],
  json: guestFields,

  async run({ args: [name = ""], home, json }, io) {
    await using client = await io.open({ home });
    printGuest({ sandbox: await client.kickGuest(name, io.signal), did: "has been ended", json }, io);
  },
});
