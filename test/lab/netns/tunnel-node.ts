/**
 * A program for a lab: a node like any other that also has a kind of tunnel, `echo`, for everybody.
 *
 * `hold ID HOST PORT` on stdin opens such a tunnel to a node and says `open`; when its link ends, it says `ended`, why,
 * and how many milliseconds after `mark` was read.
 */

import { pid, stdin, stdout } from "node:process";
import { createInterface } from "node:readline";
import { admits, type NodeId } from "../../../src/core/index.ts";
import { runDaemon } from "../../../src/daemon/index.ts";

const never = new AbortController().signal;
let markedAt = 0;

await runDaemon(
  {
    home: process.argv[2] ?? "",
    flags: ["--lends", "--no-lan"],
    environment: {},
    platform: process.platform,
    uid: process.getuid?.(),
    pid,
    tunnels: [{ kind: "echo", admits: admits.nodes, open: async () => (stream) => void stream.pipe(stream) }],
    onReady: ({ parts }) => {
      const hold = async (id: NodeId, host: string, port: string) => {
        const endpoints = [{ host, port: Number(port) }];
        const link = await parts.network.link({ id, endpoints, via: [] }, never);
        const stream = await link.connect("echo:", never);
        stream.on("error", () => undefined).resume();
        stdout.write(`open\n`);
        const why = await link.ended;
        stdout.write(`ended after ${Date.now() - markedAt} ms: ${why?.code ?? "closed"}\n`);
      };
      createInterface({ input: stdin }).on("line", (line) => {
        const [word, id = "", host = "", port = ""] = line.split(" ");
        if (word === "mark") markedAt = Date.now();
        else void hold(id as NodeId, host, port);
      });
      stdout.write(`ready ${parts.identity.id} ${parts.lending.endpoints[0]?.port ?? 0}\n`);
    },
  },
  never,
);
