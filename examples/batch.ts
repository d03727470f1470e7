/**
 * Many commands over two sandboxes, from a program of one's own: `node examples/batch.ts NODE NODE -- FILE…` counts the lines of each
 * FILE on whichever sandbox is free, and removes both at the end.
 *
 * A client speaks to the daemon of this person's home, and starts it where none runs. Outside of this
 * repository, import from "p2prc".
 */

import { readFile } from "node:fs/promises";
import { argv } from "node:process";
import { type Client, openClient } from "../src/client/index.ts";

const words = argv.slice(2);
const nodes = words.slice(0, words.indexOf("--"));
const files = words.slice(words.indexOf("--") + 1);

const { signal } = new AbortController();
await using client = await openClient({}, signal);

const boxes = await Promise.all(nodes.map((node) => started(client, node)));
try {
  await Promise.all(
    boxes.map(async (box) => {
      for (let file = files.shift(); file !== undefined; file = files.shift()) {
        console.log(`${file}: ${await linesOf(client, box, file)} lines, counted on ${box}`);
      }
    }),
  );
} finally {
  for (const box of boxes) await client.removeBox(box, signal);
}

async function started(from: Client, node: string): Promise<string> {
  for await (const step of from.touch({ node }, signal)) if ("result" in step) return step.result.sandbox.name;
  throw new Error("nothing was started");
}

async function linesOf(from: Client, box: string, file: string): Promise<number> {
  await using exec = await from.exec(box, { argv: ["wc", "-l"], env: {} }, signal);
  const sending = (async () => {
    await exec.send("stdin", await readFile(file));
    await exec.send("stdinEnd");
  })();
  let out = "";
  for await (const { kind, content } of exec.frames()) if (kind === "stdout") out += content.toString();
  await sending;
  return Number(out);
}
