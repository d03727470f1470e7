/** p2prc invite: let somebody use this machine. */

import { parseDuration, parseGrantWords } from "../../core/light.ts";
import { command } from "../command.ts";
import { formatGrant, formatTime, grantOptions, type GrantWords } from "../grants.ts";
import { type Io, printJson } from "../io.ts";
import { wholeNumber } from "../options.ts";

interface Flags extends GrantWords {
  readonly uses?: number;
  readonly expires?: number;
  readonly note?: string;
  readonly qr?: boolean;
}

export const invite = command<Flags>({
  options: [
    { flags: "--uses <number>", summary: "how many may redeem it (1)", parse: wholeNumber("--uses", 1, 100) },
    { flags: "--expires <duration>", summary: "how long it may be redeemed, as in 2h (24h)", parse: parseDuration },
    { flags: "--own", summary: "for another machine of mine: it may do everything here" },
    { flags: "--note <text>", summary: "whom it is for, for your own list" },
    { flags: "--until <time>", summary: "when the grant ends, as in 30d or 2030-12-31 (when it is revoked)" },
    { flags: "--no-qr", summary: "without the picture" },
    ...grantOptions,
  ],
  about:
    "The link is shown this once: it holds the secret, and whoever has it may redeem it. What it grants stays here and can be changed or revoked.",
  examples: [
    { command: "p2prc invite", about: "one friend, within a day, with what a guest gets" },
    { command: "p2prc invite --cpus 8 --memory 32G --gpu 1 --until 30d", about: "more, for a month" },
    { command: "p2prc invite --own", about: "for my other machine" },
    { command: "p2prc invite --json | jq -r .link", about: "for a script" },
  ],
  json: {
    link: "what to send: p2prc://…",
    invite: "as in `p2prc invites --json`: id, state, grant, note, uses, issuedAt, expiresAt, redeemedBy",
    warnings: "why nobody can use the link as it is, in words; empty where all is well",
  },

  async run({ flags, home, json }, io) {
    const grant = parseGrantWords(flags, io.clock.wallTime());
    const { uses, expires: expiresMs, note } = flags;
    const request = {
      ...(Object.keys(grant).length === 0 ? {} : { grant }),
      ...(uses === undefined ? {} : { uses }),
      ...(expiresMs === undefined ? {} : { expiresMs }),
      ...(note === undefined ? {} : { note }),
    };
    await using client = await io.open({ home });
    const reply = await client.invite(request, io.signal);
    const { invite: row, link } = reply;
    const warnings = warningsOf(link, await client.status(io.signal));
    if (json) return printJson(io, { ...reply, warnings });
    if (flags.qr !== false && io.interactive) await showQrCode(link, io);
    io.out(link);
    for (const warning of warnings) io.err(`warning: ${warning}`, "warn");
    io.err(`whoever redeems it gets: ${formatGrant(row.grant)}`);
    const times = row.uses === 1 ? "once" : `${row.uses} times`;
    io.err(
      `good until ${formatTime(row.expiresAt)}, ${times}: on the other machine, type \`p2prc join\` and the link in quotes`,
    );
  },
});

/** All that an invite says of where its node is comes after the question mark. */
function warningsOf(
  link: string,
  { lends, listening }: { readonly lends: boolean; readonly listening: readonly string[] },
): readonly string[] {
  const nowhere = !link.includes("?");
  if (!lends) {
    const then = nowhere ? ", and this link holds no address: make another one then" : "";
    return [`this machine does not lend now: \`p2prc -s\` or \`p2prc lend on\` starts it${then}`];
  }
  if (!nowhere) return [];
  const where = listening.length === 0 ? "nowhere" : `on ${listening.join(", ")} alone`;
  return [
    `nobody can use this link, for it holds no address: this machine listens ${where}; \`p2prc stop\`, then \`p2prc -s\` without --listen, and make another one`,
  ];
}

/** Half blocks, so that it is small; on stderr, so that a script gets the link alone. */
async function showQrCode(link: string, io: Io): Promise<void> {
  const { default: qr } = await import("qrcode-terminal");
  const picture = await new Promise<string>((resolve) => qr.generate(link, { small: true }, resolve));
  if (picture.indexOf("\n") <= io.columns) io.err(picture); // one that is folded is of no use
}
