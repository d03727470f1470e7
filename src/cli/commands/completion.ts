/** p2prc completion: the script that teaches a shell to complete p2prc's words. */

import { Failure } from "../../core/light.ts";
import { command } from "../command.ts";
import { completionScript, type Shell, shells } from "../completion-scripts.ts";
import { printJson } from "../io.ts";

export const completion = command({
  arguments: [{ name: "<shell>", summary: "which one", choices: shells }],
  about: "`p2prc install` puts it where the shell finds it.",
  examples: [
    { command: 'eval "$(p2prc completion bash)"', about: "in this shell, until it ends" },
    { command: "p2prc completion fish > ~/.config/fish/completions/p2prc.fish", about: "by hand, for good" },
  ],
  json: { shell: "which one", script: "what is printed otherwise" },

  async run({ args: [shell = ""], json }, io) {
    if (!isShell(shell))
      throw new Failure("bad-argument", `no completion for "${shell}"`, {
        hint: `there is one for ${shells.join(", ")}`,
      });
    const script = completionScript(shell).trimEnd();
    if (json) printJson(io, { shell, script });
    else io.out(script);
  },
});

function isShell(text: string): text is Shell {
  return shells.some((shell) => shell === text);
}
