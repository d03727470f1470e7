/** p2prc grant: what may this guest do here from now on? */

import { Failure, parseGrantWords } from "../../core/light.ts";
import { command } from "../command.ts";
import { formatGrant, formatUntil, grantFields, grantOptions, type GrantWords } from "../grants.ts";
import { printJson } from "../io.ts";

export const grant = command<GrantWords>({
  arguments: [{ name: "<node>", summary: "the guest: name, id or the start of one", completes: "nodes" }],
  options: [
    { flags: "--until <time>", summary: "when it ends, as in 30d or 2030-12-31; `revoked`: not before that" },
    { flags: "--own", summary: "a machine of mine: it may do everything here" },
    { flags: "--no-own", summary: "a guest like others" },
    ...grantOptions,
    { flags: "--no-publish", summary: "no public ports" },
  ],
  about:
    "Changes what is named and leaves the rest as it was. It holds at once for what is asked from now on; sandboxes that run keep what they have until their time is over (`p2prc kick` ends one). `p2prc revoke` ends everything.",
  examples: [
    { command: "p2prc grant attic --memory 16G --until 30d", about: "more memory, for a month from now" },
    { command: "p2prc grant attic --until revoked", about: "for as long as it is not revoked" },
  ],
  json: {
    id: "the guest's key",
    name: "its name here",
    ended: "whether it has run out",
    since: "milliseconds since 1970",
    invite: "the id of the invite it came from",
    grant: "what it may do",
    ...Object.fromEntries(Object.entries(grantFields).map(([field, meaning]) => [`grant.${field}`, meaning])),
  },

  async run({ args: [node = ""], flags, home, json }, io) {
    const { until, ...words } = flags;
    const forEver = until === "revoked" || until === "never";
    const change = parseGrantWords(forEver || until === undefined ? words : { ...words, until }, io.clock.wallTime());
    const request = { ...change, ...(forEver ? { until: null } : {}) };
    if (Object.keys(request).length === 0)
      throw new Failure("bad-argument", "nothing to change was named", {
        hint: "as in `p2prc grant attic --memory 16G`; `p2prc grants` shows what is",
      });
    await using client = await io.open({ home });
    const row = await client.changeGrant(node, request, io.signal);
    if (json) return printJson(io, row);
    io.out(`${row.name} may use: ${formatGrant(row.grant)}, until ${formatUntil(row.grant.until)}`);
  },
});
