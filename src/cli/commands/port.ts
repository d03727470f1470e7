/** p2prc port: a port of a sandbox on this machine. */

import { resolve } from "node:path";
import { cleanText, Failure } from "../../core/light.ts";
import type { Box } from "../../sandbox/index.ts";
import { formatColumns } from "../columns.ts";
import { command, type Input } from "../command.ts";
import { type Io, printJson } from "../io.ts";
import { wholeNumber } from "../options.ts";

interface Flags {
  readonly local?: number;
  readonly unix?: string;
  /** true: any port. */
  readonly publish?: number | true;
}

export const port = command<Flags>({
  arguments: [
    { name: "<box>", summary: "name or id of the sandbox; or `ls [box]`, or `rm <box> <port>`", completes: "boxes" },
    { name: "[words...]", summary: "the port inside, as in 8080" },
  ],
  options: [
    {
      flags: "--local <port>",
      summary: "which port here (the same number where it is free; 0: any)",
      parse: wholeNumber("--local", 0, 65_535),
    },
    { flags: "--unix <path>", summary: "a Unix socket in its place, which other users of this machine cannot reach" },
    {
      flags: "--publish [port]",
      summary: "a port of its node, for everybody who reaches that, where the grant allows it",
      parse: wholeNumber("--publish", 1_024, 65_535),
    },
  ],
  about:
    "What connects to it here is connected to 127.0.0.1 in the sandbox. It survives a broken link and a restart of the daemon, and goes with the sandbox. Any user of this machine can connect to 127.0.0.1. TCP alone: UDP is refused.",
  examples: [
    { command: "p2prc port box 8080", about: "127.0.0.1:8080, and a private URL for a browser" },
    { command: "p2prc port box 5432 --unix ~/box.sock", about: "for this user alone" },
    { command: "p2prc port box 8080 --publish", about: "on the node's own addresses, for everybody" },
    { command: "p2prc port ls", about: "those that are open" },
    { command: "p2prc port rm box 8080", about: "close it; with --publish, the one in public" },
  ],
  json: {
    box: "name of the sandbox; one object a line with `ls`",
    node: "name of its node",
    internal: "the port inside",
    host: "127.0.0.1, or the path of a Unix socket",
    local: "the port here; 0 behind a Unix socket",
    public:
      "with --publish: the port on its node; `host` is then where this machine reaches that, where it does directly",
    url: "where a browser finds it",
    removed: "true, and only `box` and `internal` beside it, with `rm`",
  },

  async run(input, io) {
    const [word = "", ...words] = input.args;
    if (word === "ls") return await list(words, input, io);
    if (word === "rm") return await remove(words, input, io);
    if (input.flags.publish !== undefined) return await publish(word, words, { input, io });
    await open(word, words, { input, io });
  },
});

async function open(
  box: string,
  words: readonly string[],
  { input: { flags, home, json }, io }: { readonly input: Input<Flags>; readonly io: Io },
): Promise<void> {
  const internal = onePort(words, "p2prc port <box> <port>");
  if (flags.local !== undefined && flags.unix !== undefined)
    throw new Failure("bad-argument", "--local and --unix are two different places", { hint: "choose one" });
  await using client = await io.open({ home });
  const wish = {
    internal,
    ...(flags.local === undefined ? {} : { local: flags.local }),
    ...(flags.unix === undefined ? {} : { path: resolve(flags.unix) }),
  };
  io.progress(`opening port ${internal}`);
  const [opened, { sandbox, node }] = await Promise.all([
    client.openPort(box, wish, io.signal),
    client.box(box, io.signal),
  ]);
  if (json) return printJson(io, { box: sandbox.name, node: node.name, ...opened });
  io.out(`${placeOf(opened)} -> ${sandbox.name}:${internal}`);
  if (opened.url !== undefined) io.out(opened.url);
}

async function publish(
  box: string,
  words: readonly string[],
  { input: { flags, home, json }, io }: { readonly input: Input<Flags>; readonly io: Io },
): Promise<void> {
  const port = onePort(words, "p2prc port <box> <port> --publish [port]");
  if (flags.local !== undefined || flags.unix !== undefined)
    throw new Failure("bad-argument", "--publish is no place on this machine", {
      hint: "publish it, and open it here, with two commands",
    });
  await using client = await io.open({ home });
  io.progress(`publishing port ${port}`);
  const wish = { port, ...(typeof flags.publish === "number" ? { public: flags.publish } : {}) };
  const published = await client.publishPort(box, wish, io.signal);
  const { sandbox, node } = await client.box(box, io.signal);
  if (json) return printJson(io, { box: sandbox.name, node: node.name, ...published });
  io.out(`${published.host ?? node.name}:${published.public} -> ${sandbox.name}:${published.internal}`);
  io.err(`everybody who reaches ${node.name} can connect to it`, "warn");
}

async function list(words: readonly string[], { home, json }: Input<Flags>, io: Io): Promise<void> {
  const [wanted, ...more] = words;
  if (more.length > 0) throw usage("p2prc port ls [box]");
  await using client = await io.open({ home });
  const boxes =
    wanted === undefined
      ? (await client.boxes({ ask: false }, io.signal)).boxes
      : [await client.box(wanted, io.signal)];
  const rows = boxes.flatMap(({ sandbox, node, ports }) =>
    ports.map((each) => ({ box: sandbox.name, node: node.name, ...each })),
  );
  if (json) {
    for (const row of rows) printJson(io, row);
    return;
  }
  const cells = rows.map((row) => [row.box, row.node, String(row.internal), placeOf(row), row.url ?? "-"]);
  for (const { sandbox, node } of boxes)
    for (const { internal, public: port } of sandbox.published ?? [])
      cells.push([sandbox.name, node.name, String(internal), `${node.name}:${port} (public)`, "-"]);
  if (cells.length === 0) return io.err("no port is open: `p2prc port <box> 8080` opens one");
  const titles = ["BOX", "NODE", "INSIDE", "HERE", "URL"].map((title) => ({ title }));
  io.out(formatColumns(titles, cells).join("\n"));
}

async function remove([box, ...words]: readonly string[], { flags, home, json }: Input<Flags>, io: Io): Promise<void> {
  if (box === undefined) throw usage("p2prc port rm <box> <port>");
  const internal = onePort(words, "p2prc port rm <box> <port>");
  await using client = await io.open({ home });
  const isPublic = flags.publish !== undefined;
  const { sandbox } = await (isPublic
    ? client.unpublishPort(box, internal, io.signal)
    : client.closePort(box, internal, io.signal));
  if (json) return printJson(io, { box: sandbox.name, internal, removed: true });
  io.out(`port ${internal} of ${sandbox.name} is ${isPublic ? "no longer published" : "closed here"}`);
}

function placeOf({ host, local }: Pick<Box["ports"][number], "host" | "local">): string {
  return local === 0 ? host : `${host}:${local}`;
}

/** `8080` or `8080/tcp`. @throws {Failure} bad-argument, not-supported */
function onePort(words: readonly string[], form: string): number {
  const [text, ...more] = words;
  if (text === undefined || more.length > 0) throw usage(form);
  const [, digits, kind = "tcp"] = /^(\d{1,5})(?:\/([a-z]+))?$/i.exec(text) ?? [];
  const number = Number(digits);
  if (kind.toLowerCase() === "udp")
    throw new Failure("not-supported", "UDP ports of sandboxes are not passed on: links carry streams", {
      hint: "use TCP, or run both ends of the UDP inside",
    });
  if (digits !== undefined && number >= 1 && number <= 65_535 && kind.toLowerCase() === "tcp") return number;
  throw new Failure("bad-argument", `not a port: "${cleanText(text, 40)}"`, {
    hint: "a port is a number from 1 to 65535",
  });
}

function usage(form: string): Failure {
  return new Failure("bad-argument", "these are not the words for it", { hint: `usage: ${form}` });
}
