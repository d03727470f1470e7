/** p2prc doctor: can this machine lend safely, how do others reach it, and what must be mended? */

import type { ReachReply } from "../../nat/index.ts";
import { command } from "../command.ts";
import { type Io, printJson } from "../io.ts";

/** As "the daemon or this machine" in the table of exit codes. */
const UNWELL = 5;

export const doctor = command({
  about:
    "Looks at what keeps sandboxes apart from this machine and at how others reach it, and says what is missing with the command that mends it. Nothing is changed. Lending to others is refused while a wall does not hold, unless `p2prc lend --accept` says otherwise. The exit code is 5 where no sandbox can be made.",
  examples: [
    { command: "p2prc doctor", about: "in words" },
    { command: "p2prc doctor --json | jq -r '.findings[].fix // empty'", about: "only the commands" },
  ],
  json: {
    runtime: "what makes sandboxes here: kind, version, problems; absent where nothing can",
    findings: "list of what was looked at",
    "findings[].about": "in a word or two",
    "findings[].ok": "whether it is as it should be",
    "findings[].words": "what was found",
    "findings[].fix": "what to type",
    reach:
      "how others reach this node: lends, nat (none, mapped, cone, symmetric, blocked, unknown), at, addresses, observed, reachableBy, via, findings (about, ok, words, fix)",
    "reach.addresses":
      "each address that was tried: address, port, origin (own, mapped, nat), finding (verified, refused, silent, unsure, untried), reachedBy, askedOf",
  },

  async run({ home, json }, io) {
    await using client = await io.open({ home });
    const [{ runtime, findings }, reach] = await Promise.all([client.doctor(io.signal), client.reach(io.signal)]);
    const code = runtime === undefined ? UNWELL : 0;
    if (json) {
      printJson(io, { ...(runtime === undefined ? {} : { runtime }), findings, reach });
      return code;
    }
    if (runtime === undefined) io.out("sandboxes: none can be made here", "bad");
    else io.out(`sandboxes: made by ${runtime.kind} ${runtime.version}`, "good");
    for (const problem of runtime?.problems ?? []) io.out(`  but: ${problem}`, "warn");
    for (const { about, ok, words, fix } of findings) {
      io.out(`${about}: ${words}`, ok ? "good" : "warn");
      if (fix !== undefined) io.out(`  to mend it: ${fix}`);
    }
    printReach(reach, io);
    return code;
  },
});

function printReach({ lends, findings, reachableBy }: ReachReply, io: Io): void {
  if (!lends) {
    io.out("reach: not looked at, for this node does not lend (`p2prc -s` starts it)");
    return;
  }
  const isWell = findings.every(({ ok }) => ok);
  io.out(findings.map(({ about, words }) => `${about}: ${words}`).join("   "), isWell ? "good" : "warn");
  const ways = reachableBy.length === 0 ? "nothing that is known" : reachableBy.join(", ");
  const [fix, ...more] = findings.flatMap(({ fix: how }) => (how === undefined ? [] : [how]));
  io.out(`reachable by: ${ways}${fix === undefined ? "" : `   fix: ${fix}`}`);
  for (const each of more) io.out(`  or: ${each}`);
}
