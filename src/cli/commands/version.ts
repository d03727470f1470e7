/** p2prc version: of this program, and of the daemon where one runs. */

import { VERSION } from "../../core/light.ts";
import { command } from "../command.ts";
import { printJson } from "../io.ts";

export const version = command({
  examples: [{ command: "p2prc version", about: "both versions" }],
  json: { version: "of this program", daemon: "of the running daemon; absent where none runs", node: "of Node.js" },

  async run({ home, json }, io) {
    const { connect } = await import("../../client/index.ts");
    const running = await connect({ home, clock: io.clock }, io.signal);
    await running?.client[Symbol.asyncDispose]();
    const daemon = running?.status.version;
    const node = io.machine.nodeVersion;
    if (json) return printJson(io, { version: VERSION, ...(daemon === undefined ? {} : { daemon }), node });
    io.out(`p2prc ${VERSION}`);
    if (daemon !== undefined && daemon !== VERSION)
      io.err(`the running daemon is ${daemon}: \`p2prc stop\` ends it, the next command starts this one`, "warn");
  },
});
