/**
 * The daemon for a command: found or started, and of the same version as this program, or the
 * person is asked what to do about it.
 */

import { type Client, connect, openDaemon, stopDaemon } from "../client/index.ts";
import { VERSION } from "../core/light.ts";
import { confirm, type Io, type OpenOptions } from "./io.ts";

export async function openForCommand(
  { home, flags = [], daemon = "start", quiet = false }: OpenOptions,
  io: Io,
): Promise<Client> {
  const onStart = () => void (quiet || io.progress("starting the daemon"));
  const opened = await openDaemon({ home, flags, start: daemon !== "never", onStart, clock: io.clock }, io.signal);
  const { version, name } = opened.status;
  if (opened.started) {
    if (daemon !== "restart") io.err(`started the daemon of ${name} in the background (\`p2prc stop\` ends it)`, "dim");
    return opened.client;
  }
  if (daemon !== "restart" && (quiet || version === VERSION)) return opened.client;
  if (daemon !== "restart" && !(await isWanted(version, io))) return opened.client;
  await opened.client[Symbol.asyncDispose]();
  return await restart({ home, flags, lends: opened.status.lends }, io);
}

/** One that lent goes on lending. */
async function restart(
  { home, flags, lends }: { readonly home: string; readonly flags: readonly string[]; readonly lends: boolean },
  io: Io,
): Promise<Client> {
  io.progress("restarting the daemon");
  await stopDaemon({ home, clock: io.clock }, io.signal);
  const { client } = await openDaemon({ home, flags, clock: io.clock }, io.signal);
  if (lends) await client.lend(true, io.signal);
  return client;
}

/** Whether to restart a daemon of another version. Where nobody can be asked, the command goes on with it as it is. */
async function isWanted(version: string, io: Io): Promise<boolean> {
  const words = `the daemon that runs is version ${version}, this program ${VERSION}`;
  if ((await confirm(io, `${words}; restart it? its links end`)) === true) return true;
  io.err(`${words}: \`p2prc status --restart\` restarts it`, "warn");
  return false;
}

export async function isRunning(home: string, io: Io): Promise<boolean> {
  const running = await connect({ home, clock: io.clock }, io.signal);
  await running?.client[Symbol.asyncDispose]();
  return running !== undefined;
}
