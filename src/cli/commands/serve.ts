/** p2prc serve: lend this machine. The seed's `-s`. */

import { within } from "../../base/index.ts";
import type { Client } from "../../client/index.ts";
import { Failure, shortNodeId } from "../../core/light.ts";
import type { Status } from "../../daemon/index.ts";
import type { RelayMode } from "../../nat/index.ts";
import { command } from "../command.ts";
import { type Io, printJson } from "../io.ts";
import { wholeNumber } from "../options.ts";

interface Flags {
  readonly name?: string;
  readonly port?: number;
  readonly listen?: readonly string[];
  readonly allowNetwork?: readonly string[];
  /** false with `--no-lan`. */
  readonly lan?: boolean;
  /** false with `--no-map`. */
  readonly map?: boolean;
  /** false with `--no-punch`. */
  readonly punch?: boolean;
  readonly relay?: RelayMode;
  readonly runtime?: string;
  readonly detach?: boolean;
}

/** How often a daemon that somebody else started is asked whether it is still there. */
const WATCH_EVERY_MS = 5_000;

export const serve = command<Flags>({
  options: [
    { flags: "--name <name>", summary: "what this node is called, from now on (two random words)" },
    {
      flags: "--port <number>",
      summary: "TCP port, this time; 0: any free one (8088)",
      parse: wholeNumber("--port", 0, 65_535),
    },
    {
      flags: "--listen <address>",
      summary: "listen on this address only, this time; may be given again (all of this machine)",
      repeatable: true,
    },
    {
      flags: "--allow-network <cidr>",
      summary: "dial addresses in this network though they are not public, as in a VPN; may be given again",
      repeatable: true,
    },
    { flags: "--no-lan", summary: "neither look for nodes on the local network, nor answer them there" },
    { flags: "--no-map", summary: "ask no router to let others in (by PCP, NAT-PMP or UPnP)" },
    { flags: "--no-punch", summary: "open no UDP port: neither help others through their NATs, nor go through by UDP" },
    {
      flags: "--relay <whose>",
      summary:
        "pass links on to nodes that cannot be dialled: `anyone` (strangers a little), `friends` or `no` (anyone)",
      choices: ["anyone", "friends", "no"],
    },
    {
      flags: "--runtime <what>",
      summary: "what makes the sandboxes: `docker`, `podman` or `bubblewrap` (the one with the best walls)",
      choices: ["docker", "podman", "bubblewrap"],
    },
    { flags: "--detach", summary: "return when it lends, and go on in the background" },
  ],
  about:
    "Stays in the foreground until Ctrl-C. Where a daemon runs already, turns lending on in it, and off at the end; with settings, replaces it by one that has them (the old one is started again when that one cannot lend). It lends to my own nodes and those I invited; everybody else may only ask for the table.",
  examples: [
    { command: "p2prc -s", about: "lend, until Ctrl-C" },
    { command: "p2prc -s --name attic --port 8090", about: "under this name, on this port" },
    { command: "p2prc serve --detach", about: "lend in the background" },
    { command: "p2prc serve --allow-network 100.64.0.0/10", about: "among the machines of a VPN too" },
  ],
  json: {
    id: "the key of this node",
    name: "its name",
    listening: "addresses it listens on",
    addresses: "where others may reach it",
    lends: "true",
    pid: "the process of the daemon",
    home: "its folder",
    "…": "the other fields of `p2prc status --json`",
  },

  async run({ flags, home, json }, io) {
    const words = daemonWords(flags);
    const detach = flags.detach === true;
    const running = await io.isRunning(home);
    const anew = running && words.length > 0;
    if (anew) await refuseWhileLending({ home, words }, io);
    if (!detach && (!running || anew)) {
      if (anew) await io.stop(home);
      await orAgain({ home, anew }, io, (lent) =>
        io.runDaemon({ home, flags: words }, async () => {
          await lendAndTell({ home, json }, io);
          lent();
        }),
      );
      io.err("lending has ended, and so has the daemon");
      return 0; // Ctrl-C is how it ends
    }
    await using client = await orAgain({ home, anew }, io, () =>
      io.open({ home, flags: words, daemon: anew ? "restart" : "start" }),
    );
    const { pid } =
      running && !anew
        ? await lendAndTell({ home, json }, io)
        : await orAgain({ home, anew }, io, () => lendOrStop({ home, json }, io));
    if (detach) return 0;
    if (!json) io.err(`in the daemon that runs already (process ${pid}): Ctrl-C ends lending, not the daemon`, "dim");
    await untilInterrupted(client, io);
    await stopLending(client, io);
    return 0;
  },
});

/** Starts the daemon that was replaced again when the new one fails before it has lent. */
async function orAgain<T>(
  { home, anew }: { readonly home: string; readonly anew: boolean },
  io: Io,
  work: (lent: () => void) => Promise<T>,
): Promise<T> {
  let begun = false;
  try {
    return await work(() => {
      begun = true;
    });
  } catch (error) {
    if (anew && !begun && error instanceof Failure && !io.signal.aborted) await startAgain(home, io);
    throw error;
  }
}

async function startAgain(home: string, io: Io): Promise<void> {
  try {
    await using _client = await io.open({ home, daemon: "start", quiet: true });
    io.err("the daemon that ran before is back, and lends nothing, as before");
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    io.err(`the daemon that ran before could not be started again: ${error.message}`, "warn");
  }
}

/** What the daemon is given; the same words as here. */
function daemonWords({
  name,
  port,
  listen = [],
  allowNetwork = [],
  lan,
  map,
  punch,
  relay,
  runtime,
}: Flags): readonly string[] {
  return [
    ...(name === undefined ? [] : ["--name", name]),
    ...(port === undefined ? [] : ["--port", String(port)]),
    ...listen.flatMap((address) => ["--listen", address]),
    ...allowNetwork.flatMap((network) => ["--allow-network", network]),
    ...(lan === false ? ["--no-lan"] : []),
    ...(map === false ? ["--no-map"] : []),
    ...(punch === false ? ["--no-punch"] : []),
    ...(relay === undefined ? [] : ["--relay", relay]),
    ...(runtime === undefined ? [] : ["--runtime", runtime]),
  ];
}

/** A daemon that lends nothing is started anew with other settings; one that lends may be in use. @throws {Failure} conflict */
async function refuseWhileLending(
  { home, words }: { readonly home: string; readonly words: readonly string[] },
  io: Io,
) {
  await using client = await io.open({ home, daemon: "never" });
  if (!(await client.status(io.signal)).lends) return;
  throw new Failure(
    "conflict",
    `a daemon lends already, and takes no other settings (${words.join(" ")}) while it does`,
    {
      hint: "end it with `p2prc stop`, then start again; or leave the settings out",
    },
  );
}

async function lendAndTell({ home, json }: { readonly home: string; readonly json: boolean }, io: Io): Promise<Status> {
  await using client = await io.open({ home, daemon: "never" });
  await client.lend(true, io.signal);
  const status = await client.status(io.signal);
  if (json) printJson(io, status);
  else printBanner(status, io);
  return status;
}

/** A daemon that was started to lend, and cannot, is of no use: its port is taken, say. @throws {Failure} */
async function lendOrStop(place: { readonly home: string; readonly json: boolean }, io: Io): Promise<Status> {
  try {
    return await lendAndTell(place, io);
  } catch (error) {
    if (error instanceof Failure && (await io.stop(place.home)) !== undefined) io.err("the daemon has ended again");
    throw error;
  }
}

function printBanner({ name, id, listening, warnings }: Status, io: Io): void {
  io.out(`${name}  ${shortNodeId(id)}   lending to: my own nodes and those I invited`, "good");
  io.out(`listening on ${listening.map(withFamilies).join(", ")}`);
  io.out("to let somebody in:  p2prc invite");
  for (const warning of warnings) io.err(`warning: ${warning}`, "warn");
}

/** `[::]` takes IPv4 as well, which nobody sees from its looks. */
function withFamilies(address: string): string {
  if (address.startsWith("[::]:")) return `${address} (IPv6 and IPv4)`;
  return address.startsWith("0.0.0.0:") ? `${address} (IPv4 only)` : address;
}

/** @throws {Failure} daemon-not-running when it ends by itself */
async function untilInterrupted(client: Client, io: Io): Promise<void> {
  try {
    for (;;) {
      await io.clock.sleep(WATCH_EVERY_MS, io.signal);
      await client.status(io.signal);
    }
  } catch (error) {
    if (!io.signal.aborted) throw error;
  }
}

/** Ctrl-C has been pressed already, so this has a bound of its own. */
async function stopLending(client: Client, io: Io): Promise<void> {
  const late = () =>
    new Failure("timed-out", "the daemon did not answer: it may still lend", { hint: "`p2prc lend off` ends it" });
  await within(
    { clock: io.clock, timeoutMs: 5_000, late },
    (signal) => client.lend(false, signal),
    new AbortController().signal,
  );
  io.err("lending has ended");
}
