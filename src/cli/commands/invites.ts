/** p2prc invites: which ones are open, and taking one back. */

import { formatColumns } from "../columns.ts";
import { command } from "../command.ts";
import { formatTime, formatGrant } from "../grants.ts";
import { printJson } from "../io.ts";

interface Flags {
  readonly remove?: string;
  readonly all?: boolean;
}

export const invites = command<Flags>({
  options: [
    { flags: "--remove <id>", summary: "take this one back; grants that came of it stay" },
    { flags: "-a, --all", summary: "also those that are used, expired or taken back" },
  ],
  examples: [
    { command: "p2prc invites", about: "those that may still be redeemed" },
    { command: "p2prc invites --remove k3f9", about: "this one not any more" },
  ],
  json: {
    invites: "newest first; with --remove, the one that was taken back",
    "invites[].id": "short, and no secret",
    "invites[].state": "open, used, expired or revoked",
    "invites[].grant": "what it grants, as in `p2prc grants --json`",
    "invites[].note": "whom it is for",
    "invites[].uses": "how many may redeem it",
    "invites[].issuedAt": "milliseconds since 1970",
    "invites[].expiresAt": "milliseconds since 1970",
    "invites[].redeemedBy": "id, name, at",
  },

  async run({ flags, home, json }, io) {
    await using client = await io.open({ home });
    if (flags.remove !== undefined) {
      const row = await client.withdraw(flags.remove, io.signal);
      if (json) return printJson(io, { invites: [row] });
      io.out(`the invite ${row.id} cannot be redeemed any more`);
      if (row.redeemedBy.length > 0)
        io.err("what it granted already stays: `p2prc grants` lists it, `p2prc revoke` ends it");
      return;
    }
    const { invites: rows } = await client.invites(io.signal);
    const shown = rows.filter(({ state }) => flags.all === true || state === "open");
    if (json) return printJson(io, { invites: shown });
    if (shown.length === 0) {
      io.err("no open invite: `p2prc invite` makes one");
      return;
    }
    const lines = formatColumns(
      [
        { title: "ID" },
        { title: "STATE" },
        { title: "USED", align: "right" },
        { title: "GOOD UNTIL" },
        { title: "FOR" },
        { title: "BY" },
        { title: "GRANTS" },
      ],
      shown.map(({ id, state, redeemedBy, uses, expiresAt, note, grant }) => {
        const by = redeemedBy.map(({ name }) => name).join(", ");
        return [id, state, `${redeemedBy.length}/${uses}`, formatTime(expiresAt), note, by, formatGrant(grant)];
      }),
    );
    for (const [index, line] of lines.entries()) io.out(line, index === 0 ? "bold" : undefined);
  },
});
