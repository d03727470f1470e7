/**
 * A program that behaves at its start as the daemon does: takes the home or gives way, answers on its
 * socket, ends when it is told. For tests of those who start it.
 */

import { randomBytes } from "node:crypto";
import { mkdirSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { VERSION } from "../../src/core/light.ts";

const { values } = parseArgs({
  options: {
    home: { type: "string" },
    name: { type: "string" },
    fail: { type: "string" },
    version: { type: "string" },
  },
});
const home = values.home ?? ".";

if (values.fail === "port-in-use")
  end({ code: "port-in-use", message: "port 8088 is taken", hint: "choose another one" });
if (values.fail !== undefined) throw new Error("a defect of the fake");
try {
  mkdirSync(join(home, "lock"));
} catch {
  end({ code: "home-in-use", message: "another daemon runs" });
}

const status = {
  name: values.name ?? "fake",
  pid: process.pid,
  boot: randomBytes(8).toString("hex"),
  version: values.version ?? VERSION,
};
const server = createServer((request, reply) => {
  reply.end(request.url === "/v1/status" ? JSON.stringify(status) : "{}");
  if (request.url === "/v1/stop") setTimeout(stop, 150); // closing links in good order takes a while
});
setTimeout(() => server.listen(join(home, "socket")), 100); // a real one needs some time too

function stop(): void {
  rmSync(join(home, "lock"), { recursive: true });
  server.close();
  server.closeAllConnections();
}

function end(error: object): never {
  process.stderr.write(`${JSON.stringify({ error })}\n`);
  process.exit(5);
}
