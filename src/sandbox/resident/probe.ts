/** What the sandbox looks like from inside: rights of a process in it, and which addresses it gets through to. */

import { readFileSync } from "node:fs";
import { connect, isIP } from "node:net";
import type { Sleeper } from "./clock.ts";
import type { Probe } from "./protocol.ts";
import { Refusal } from "./refusal.ts";

type Dialled = Probe["dials"][string];

const MAX_DIALS = 64;
/** A filter that drops says nothing; what is on this machine answers in a millisecond. */
const SILENT_MS = 1_000;

/** @param addresses `host:port`, hosts literal: `127.0.0.1:80`, `[::1]:80` */
export async function probe(addresses: readonly string[], sleeper: Sleeper, signal: AbortSignal): Promise<Probe> {
  if (addresses.length > MAX_DIALS)
    throw new Refusal("too-large", `at most ${MAX_DIALS} addresses are dialled at once`);
  const targets = addresses.map((address) => ({ address, ...parseAddress(address) }));
  const dialling = targets.map(
    async ({ address, host, port }) => [address, await attempt(host, port, { sleeper, signal })] as const,
  );
  // The kernel answers at once: to hand that to a thread would take ten times as long, and somebody waits for the sandbox.
  const status = readFileSync("/proc/self/status", "utf8");
  const uidMap = readFileSync("/proc/self/uid_map", "utf8");
  const ends = await Promise.all(dialling);
  const line = (name: string) => new RegExp(`^${name}:\\s*(.*)$`, "mu").exec(status)?.[1] ?? "";
  return {
    uid: process.getuid?.() ?? -1,
    capEff: line("CapEff"),
    capBnd: line("CapBnd"),
    seccomp: line("Seccomp"),
    noNewPrivs: line("NoNewPrivs"),
    uidMap: uidMap.trim(),
    dials: Object.fromEntries(ends),
  };
}

/** Nothing is sent on a connection that came about. */
async function attempt(
  host: string,
  port: number,
  { sleeper, signal }: { readonly sleeper: Sleeper; readonly signal: AbortSignal },
): Promise<Dialled> {
  const over = new AbortController();
  const onAbort = () => over.abort();
  signal.addEventListener("abort", onAbort, { once: true });
  const socket = connect({ host, port });
  const answered = new Promise<Dialled>((resolve) => {
    socket.once("connect", () => resolve("connected"));
    socket.once("error", ({ code }: NodeJS.ErrnoException) => resolve(outcome(code)));
  });
  const silence = sleeper.sleep(SILENT_MS, over.signal).then(
    () => "silent" as const,
    () => "silent" as const,
  );
  try {
    return await Promise.race([answered, silence]);
  } finally {
    signal.removeEventListener("abort", onAbort);
    over.abort();
    socket.destroy();
  }
}

function outcome(code: string | undefined): Dialled {
  if (code === "ECONNREFUSED" || code === "ECONNRESET") return "refused";
  return code === "ETIMEDOUT" ? "silent" : "unreachable";
}

function parseAddress(text: string): { readonly host: string; readonly port: number } {
  const [, six, four, digits] = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/u.exec(text) ?? [];
  const host = six ?? four ?? "";
  const port = Number(digits);
  // A name would be asked of a resolver: of an address that nobody meant to try.
  if (isIP(host.split("%")[0] ?? "") === 0 || port < 1 || port > 65_535) {
    throw new Refusal("bad-argument", `not an address and a port: "${text}"`);
  }
  return { host, port };
}
