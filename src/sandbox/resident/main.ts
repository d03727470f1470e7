/**
 * The resident's own process: `main.js --socket PATH | --listening FD | --stdio [--folder PATH] [--sshd PATH] [--env NAME=VALUE]…`, or
 * `--check`: whether all it may load is there.
 *
 * It needs an init above it: Node reaps only what it started itself, so as process 1 it would gather the dead.
 */

import { chmodSync, rmSync } from "node:fs";
import { createServer, type Server, Socket } from "node:net";
import { Duplex } from "node:stream";
import { parseArgs } from "node:util";
import { systemSleeper } from "./clock.ts";
import { Resident } from "./resident.ts";

/** The owner's daemon opens one, and another while the first is dying. */
const MAX_CONNECTIONS = 16;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      socket: { type: "string" },
      listening: { type: "string" },
      stdio: { type: "boolean" },
      check: { type: "boolean" },
      folder: { type: "string", default: "/run/p2prc" },
      sshd: { type: "string" },
      env: { type: "string", multiple: true },
    },
  });
  if (values.check === true) {
    const { binding } = await import("./terminal.ts");
    binding();
    await Promise.all([
      import("./beside.ts"),
      import("./dial.ts"),
      import("./exec.ts"),
      import("./files.ts"),
      import("./probe.ts"),
      import("./ssh.ts"),
      import("./splice.ts"),
      import("./ssh-setup.ts"),
    ]);
    await import("tar-stream");
    return;
  }
  if (process.pid === 1) throw new Error("the resident is no init: start it under one that reaps");
  const env = Object.fromEntries((values.env ?? []).map(parseVariable));
  const sshd = values.sshd === undefined ? undefined : [values.sshd];
  const resident = new Resident({ sleeper: systemSleeper, folder: values.folder, sshd, env, onDefect });
  process.on("SIGHUP", () => {}); // whoever started it may go
  process.on("uncaughtException", onDefect); // one guest's stream does not take the others with it
  process.umask(0o022);
  // Or else the first date in a header costs 20 ms: where only a copy of a time zone is to be found, all are compared with it.
  process.env["TZ"] = "UTC";
  if (values.stdio === true) resident.serve(standardStreams());
  else if (values.listening !== undefined) acceptor(resident).listen({ fd: Number(values.listening) });
  else if (values.socket !== undefined) listen(values.socket, resident);
  else throw new Error("say --socket PATH, --listening FD or --stdio");
}

function acceptor(resident: Resident): Server {
  const server = createServer((socket) => resident.serve(socket));
  server.maxConnections = MAX_CONNECTIONS;
  return server;
}

function listen(path: string, resident: Resident): void {
  rmSync(path, { force: true });
  const server = acceptor(resident);
  const umask = process.umask(0o177);
  server.listen(path);
  process.umask(umask);
  server.once("listening", () => chmodSync(path, 0o600));
}

/** Not process.stdout: on a pipe that writes while nothing else goes on. */
function standardStreams(): Duplex {
  const input = new Socket({ fd: 0, readable: true, writable: false });
  const output = new Socket({ fd: 1, readable: false, writable: true });
  return Duplex.from({ readable: input, writable: output });
}

function parseVariable(text: string): [name: string, value: string] {
  const equals = text.indexOf("=");
  if (equals < 1) throw new Error(`not NAME=VALUE: "${text}"`);
  return [text.slice(0, equals), text.slice(equals + 1)];
}

function onDefect(error: unknown): void {
  process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
}

void main();
