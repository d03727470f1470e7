/** p2prc demo: all of it, on this one machine. */

import { command } from "../command.ts";
import { type Played, Stage } from "../demo/stage.ts";
import { machines, story } from "../demo/story.ts";
import { type Io, printJson } from "../io.ts";

export const demo = command({
  about:
    "Starts three nodes in throw-away folders, lets them find each other, measures, and shows each command as one would type it. Nothing of it stays.",
  examples: [{ command: "p2prc demo", about: "needs no second machine and no network, and takes some ten seconds" }],
  json: { steps: "what was run: on, words, exit, out", tookMs: "how long all of it took" },

  async run({ json }, io) {
    const began = io.clock.now();
    const steps = await perform(json ? { ...io, out: () => undefined } : io);
    const tookMs = Math.round(io.clock.now() - began);
    if (json) printJson(io, { steps, tookMs });
    else
      io.out(
        `That was all, in ${(tookMs / 1000).toFixed(0)} s. The three nodes have ended, and nothing of them is left.`,
        "good",
      );
  },
});

async function perform(io: Io): Promise<readonly Played[]> {
  await using stage = await Stage.open(machines, io);
  await story(stage, io);
  io.progress("clearing up");
  return stage.played;
}
