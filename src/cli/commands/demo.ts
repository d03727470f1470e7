/** p2prc demo: all of it, on this one machine. */

import { command } from "../command.ts";
import { meetNeeds } from "../demo/needs.ts";
import { type Played, Stage } from "../demo/stage.ts";
import { machines, story } from "../demo/story.ts";
import { type Io, printJson } from "../io.ts";

export const demo = command({
  about:
    "Starts three nodes in throw-away folders, lets them find each other, measures, and borrows one for a sandbox, and shows each command as one would type it. Nothing of it stays.",
  examples: [{ command: "p2prc demo", about: "needs no second machine and no network, and takes half a minute" }],
  json: { steps: "what was run: on, words, exit, out", tookMs: "how long all of it took" },

  async run({ json }, io) {
    const began = io.clock.now();
    const steps = await perform(json ? { ...io, out: () => undefined } : io);
    const tookMs = Math.round(io.clock.now() - began);
    if (json) printJson(io, { steps, tookMs });
    else {
      const seconds = (tookMs / 1000).toFixed(0);
      io.out(`That was all, in ${seconds} s. The three nodes have ended, and nothing of them is left.`, "good");
      io.out(
        "Your own turn: `p2prc -s` lends this machine, `p2prc invite` lets a friend in; they type `p2prc join` and the link.",
      );
    }
  },
});

async function perform(io: Io): Promise<readonly Played[]> {
  const sandboxes = await meetNeeds(io);
  await using stage = await Stage.open(machines, io);
  await story(stage, io, { sandboxes });
  io.progress("clearing up");
  return stage.played;
}
