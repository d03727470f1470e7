/**
 * The daemon as a program: `node main.ts --home H [flags]`. The CLI starts it; `p2prc serve` runs the same in the foreground.
 *
 * What keeps it from starting is one line of JSON on stderr, for the CLI to read.
 */

import { keepHeapSmall, sweepHeap, systemClock } from "../base/index.ts";

process.title = ["p2prc daemon", ...process.argv.slice(2)].join(" "); // for `ps`, and for "the port is taken by"
keepHeapSmall();
const { Failure, failureReply, failures } = await import("../core/index.ts");
const { runDaemon } = await import("./run-daemon.ts");

/** By then a node has started, and met those whom it knows. */
const SETTLED_MS = 30_000;

const stop = new AbortController();
systemClock.sleep(SETTLED_MS, stop.signal).then(sweepHeap, () => undefined); // it ends before
for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(name, () => stop.abort());

const [flag, home = "", ...flags] = process.argv.slice(2);
try {
  if (flag !== "--home" || home === "")
    throw new Failure("bad-argument", "the daemon is started as `main.ts --home FOLDER`");
  const { platform, pid, env } = process;
  await runDaemon({ home, flags, environment: env, platform, uid: process.getuid?.(), pid }, stop.signal);
} catch (error) {
  if (error instanceof Failure) {
    process.stderr.write(`${JSON.stringify(failureReply(error))}\n`);
    process.exitCode = failures[error.code].exit;
  } else {
    process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
    process.exitCode = 70;
  }
}
// Whatever still holds the process has no part in the node any more.
process.exit();
