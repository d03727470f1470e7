/** p2prc demo: all of it, on this one machine. */

import { command } from "../command.ts";
import { meetNeeds } from "../demo/needs.ts";
import { type Played, Stage } from "../demo/stage.ts";
import { everybody, story } from "../demo/story.ts";
import { type Io, printJson } from "../io.ts";

export const demo = command({
  about:
    "Starts three nodes in throw-away folders, lets them find each other, measures, borrows one for a sandbox, draws a picture with all three from a fourth folder, and shows each command as one would type it. Nothing of it stays but the picture, a file for temporary ones.",
  examples: [{ command: "p2prc demo", about: "needs no second machine and no network, and takes half a minute" }],
  json: {
    steps: "what was run: on, words, exit, out",
    picture: "where the picture is that was drawn (absent where there are no sandboxes)",
    tookMs: "how long all of it took",
  },

  async run({ json }, io) {
    const began = io.clock.now();
    const { steps, picture } = await perform(json ? { ...io, out: () => undefined } : io);
    const tookMs = Math.round(io.clock.now() - began);
    if (json) printJson(io, { steps, picture, tookMs });
    else {
      const seconds = (tookMs / 1000).toFixed(0);
      io.out(`That was all, in ${seconds} s. The nodes have ended, and nothing of them is left.`, "good");
      if (picture !== undefined) io.out(`The picture that they drew is here until you remove it: ${picture}`);
      io.out(
        "Your own turn: `p2prc -s` lends this machine, `p2prc invite` lets a friend in; they type `p2prc join` and the link.",
      );
    }
  },
});

async function perform(io: Io): Promise<{ readonly steps: readonly Played[]; readonly picture: string | undefined }> {
  const sandboxes = await meetNeeds(io);
  await using stage = await Stage.open(everybody, io);
  const picture = await story(stage, io, { sandboxes });
  io.progress("clearing up");
  return { steps: stage.played, picture };
}
