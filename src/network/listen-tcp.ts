/**
 * Binds the TCP port that a node listens on: every address of the machine, or those a person named.
 *
 * `[::]` takes IPv4 as well. A kernel without IPv6 falls back to 0.0.0.0, and so does one that was told to do without: it
 * binds `[::]` all the same, but no interface, not even loopback, has an address of that kind.
 */

import { once } from "node:events";
import { readdir, readFile, readlink } from "node:fs/promises";
import { createServer, isIP, type Server } from "node:net";
import { networkInterfaces } from "node:os";
import { Failure, formatEndpoint } from "../core/index.ts";
import type { ListenOptions } from "./carrier.ts";

/**
 * @param prepare is called with each server before it listens
 * @throws {Failure} port-in-use, bad-address
 */
export async function listenTcp(
  prepare: (server: Server) => void,
  { hosts, port }: ListenOptions,
  signal: AbortSignal,
): Promise<Server[]> {
  if (hosts === undefined || hosts.length === 0) return [await listenEverywhere(prepare, port, signal)];
  const servers: Server[] = [];
  try {
    for (const host of hosts) {
      // Port 0 means one free port, the same on every address where that can be had.
      const wanted = port === 0 && servers[0] !== undefined ? portOf(servers[0]) : port;
      servers.push(
        await bind(prepare, { host, port: wanted, ipv6Only: host === "::" && hosts.includes("0.0.0.0") }, signal),
      );
    }
    return servers;
  } catch (error) {
    for (const server of servers) server.close();
    throw error;
  }
}

async function listenEverywhere(prepare: (server: Server) => void, port: number, signal: AbortSignal): Promise<Server> {
  const onIpv4 = () => bind(prepare, { host: "0.0.0.0", port, ipv6Only: false }, signal);
  if (!hasIpv6()) return await onIpv4();
  try {
    return await bind(prepare, { host: "::", port, ipv6Only: false }, signal);
  } catch (error) {
    if (!(error instanceof Failure) || error.code !== "bad-address") throw error;
    return await onIpv4();
  }
}

function hasIpv6(): boolean {
  const addresses = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
  // With no address at all (a namespace whose loopback is down) nothing is known of what the kernel can do.
  return addresses.length === 0 || addresses.some(({ family }) => family === "IPv6");
}

interface Binding {
  readonly host: string;
  readonly port: number;
  readonly ipv6Only: boolean;
}

async function bind(
  prepare: (server: Server) => void,
  { host, port, ipv6Only }: Binding,
  signal: AbortSignal,
): Promise<Server> {
  signal.throwIfAborted();
  if (isIP(host) === 0) {
    throw new Failure("bad-address", `not an IP address to listen on: "${host}"`, {
      hint: "name an address of this machine, such as 192.0.2.7 or ::1",
    });
  }
  const server = createServer({ pauseOnConnect: false, noDelay: true });
  prepare(server);
  server.listen({ host, port, ipv6Only });
  try {
    await once(server, "listening", { signal });
    return server;
  } catch (error) {
    server.close();
    throw await explain(error, { host, port });
  }
}

async function explain(error: unknown, endpoint: { host: string; port: number }): Promise<unknown> {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  const where = formatEndpoint(endpoint);
  if (code === "EADDRINUSE") {
    const holder = await holderOf(endpoint.port);
    return new Failure("port-in-use", `port ${endpoint.port} is taken${holder === undefined ? "" : ` by ${holder}`}`, {
      hint: "choose another with --port, or --port 0 for any free one",
      cause: error,
    });
  }
  if (code === "EACCES") {
    return new Failure("port-in-use", `port ${endpoint.port} may not be used by this user`, {
      hint: "choose one above 1023 with --port",
      cause: error,
    });
  }
  if (code === "EADDRNOTAVAIL" || code === "EAFNOSUPPORT" || code === "EINVAL") {
    return new Failure("bad-address", `this machine cannot listen on ${where}`, {
      hint: "name an address that this machine has",
      cause: error,
    });
  }
  return error;
}

function portOf(server: Server): number {
  const address = server.address();
  return address === null || typeof address === "string" ? 0 : address.port;
}

/**
 * Who listens on `port`, for people: `nginx (process 812)`. Undefined where that cannot be seen:
 * another user's process, or a system without /proc.
 */
async function holderOf(port: number): Promise<string | undefined> {
  const hexPort = port.toString(16).toUpperCase().padStart(4, "0");
  const inodes = new Set<string>();
  for (const table of ["/proc/net/tcp", "/proc/net/tcp6"]) {
    for (const line of (await readOrEmpty(table)).split("\n")) {
      const [, local = "", , state, , , , , , inode = ""] = line.trim().split(/\s+/);
      if (local.endsWith(`:${hexPort}`) && state === "0A") inodes.add(`socket:[${inode}]`); // 0A: LISTEN
    }
  }
  if (inodes.size === 0) return undefined;
  for (const pid of (await readdir("/proc")).filter((name) => /^\d+$/.test(name))) {
    if (!(await holds(pid, inodes))) continue;
    const [name = ""] = (await readOrEmpty(`/proc/${pid}/comm`)).trim().split(" "); // ours say their words too
    return `${name} (process ${pid})`;
  }
  return undefined;
}

async function holds(pid: string, inodes: ReadonlySet<string>): Promise<boolean> {
  const folder = `/proc/${pid}/fd`;
  const descriptors = await readdir(folder).catch(() => []); // another user's, or gone
  for (const descriptor of descriptors) {
    if (inodes.has(await readlink(`${folder}/${descriptor}`).catch(() => ""))) return true;
  }
  return false;
}

function readOrEmpty(path: string): Promise<string> {
  return readFile(path, "utf8").catch(() => "");
}
