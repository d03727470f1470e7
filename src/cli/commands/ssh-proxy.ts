/** p2prc ssh-proxy: what `ssh` starts where no daemon runs (ProxyCommand). Starts one, and is a pipe into the sandbox. */

import type { Duplex } from "node:stream";
import { Failure } from "../../core/light.ts";
import { command } from "../command.ts";
import { roomIn } from "../exec-in-box.ts";
import type { Io } from "../io.ts";

export const sshProxy = command({
  arguments: [{ name: "<host>", summary: "as in box.p2prc or box.attic.p2prc" }],
  about: "Not for people: the configuration of `p2prc ssh-config` has ssh call it.",
  examples: [{ command: "p2prc ssh-proxy box.p2prc", about: "as ssh does" }],
  json: {},

  async run({ args: [host = ""], home }, io) {
    const box = boxOf(host);
    await using client = await io.open({ home, quiet: true });
    const stream = await client.stream(`box-ssh:${box}`, io.signal);
    const onAbort = () => void stream.destroy();
    io.signal.addEventListener("abort", onAbort, { once: true });
    io.clear();
    await pipe(stream, io);
    io.signal.removeEventListener("abort", onAbort);
  },
});

/** `box.p2prc`, or with the name of its node. @throws {Failure} bad-argument */
function boxOf(host: string): string {
  const [, box, node] = /^([a-z0-9-]+)(?:\.([a-z0-9-]+))?\.p2prc$/i.exec(host) ?? [];
  if (box !== undefined) return node === undefined ? box : `${box}@${node}`;
  throw new Failure("bad-argument", `not the host name of a sandbox: "${host.slice(0, 80)}"`, {
    hint: "it ends with .p2prc, as in box.p2prc or box.attic.p2prc",
  });
}

/** Each way ends by itself: who has said all still listens. Over once the sandbox has said all. */
async function pipe(stream: Duplex, { streams: { stdin, stdout } }: Io): Promise<void> {
  stream.on("error", () => undefined); // ssh sees that it ended, and says so
  stdin.on("error", () => stream.end());
  stdin.pipe(stream);
  try {
    for await (const chunk of stream.iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array>)
      if (!stdout.write(chunk)) await roomIn(stdout);
  } catch (error) {
    if (!(error instanceof Error)) throw error; // cut off
  }
  stdin.unpipe(stream);
  stdin.destroy();
  stream.destroy();
}
