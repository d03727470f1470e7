/**
 * Every pair of six kinds of line to the internet: for each kind a node that dials (`a-…`) and one that is dialled
 * (`b-…`), and three public ones that help. What becomes of each pair is the matrix.
 *
 * The nodes may run in whatever way: they are spoken to through the sockets in their homes.
 */

import type { NodeId } from "../../src/core/index.ts";
import { type Client, openClient } from "../../src/client/index.ts";

export const matrixKinds = ["public", "upnp", "nat", "symmetric", "cgnat", "udp-blocked"] as const;
export type MatrixKind = (typeof matrixKinds)[number];

const HELPERS = ["garage", "barn", "shed"] as const;

/** For `NetnsNodes.online`. */
export const matrixTopology = [
  ...HELPERS.map((name) => `${name}:public`),
  ...matrixKinds.flatMap((kind) => [`a-${kind}:${kind}`, `b-${kind}:${kind}`]),
].join("  ");

/** What a pair must come to: `direct`, at once or after a while, or `any`, where only another node can pass it on. */
export function bestPath(from: MatrixKind, to: MatrixKind): "direct" | "any" {
  const both = [from, to];
  if (both.includes("public") || both.includes("upnp")) return "direct"; // one side can be dialled, by the other
  if (both.includes("udp-blocked")) return "any"; // no TCP in, and no UDP at all
  return both.every((kind) => kind === "symmetric") ? "any" : "direct"; // neither knows the other's next port
}

export function isDirect(path: string): boolean {
  return path === "tcp6" || path === "tcp4" || path === "punched";
}

export interface Acquainted extends AsyncDisposable {
  readonly clients: ReadonlyMap<string, Client>;
  client(name: string): Client;
  id(name: string): NodeId;
}

/** Each waits for 5 s. */
const MAX_TRIES = 6;
/** How long nodes may take to find out how they are reached, and by whom else. */
const SETTLE_MS = 60_000;

/** All of them friends of the helpers, who pass links on for them. Resolves once each can be reached in one way or another. */
export async function acquaint(homes: Readonly<Record<string, string>>, signal: AbortSignal): Promise<Acquainted> {
  const clients = new Map<string, Client>();
  const ids = new Map<string, NodeId>();
  await Promise.all(
    Object.entries(homes).map(async ([name, home]) => {
      const client = await patientClient(home, signal);
      clients.set(name, client);
      ids.set(name, (await client.status(signal)).id);
    }),
  );
  const found = <Value>(map: ReadonlyMap<string, Value>, name: string): Value => {
    const value = map.get(name);
    if (value === undefined) throw new Error(`there is no node "${name}"`);
    return value;
  };
  for (const helper of HELPERS) {
    const { link } = await found(clients, helper).invite({ grant: { relay: true }, uses: 100 }, signal);
    const others = [...clients].filter(([name]) => name !== helper).map(([, client]) => client);
    await Promise.all(others.map((client) => client.join({ invite: link }, signal)));
  }
  await Promise.all(Array.from(clients, ([name, client]) => settled(name, client)));
  return {
    clients,
    client: (name) => found(clients, name),
    id: (name) => found(ids, name),
    [Symbol.asyncDispose]: async () => {
      for (const client of clients.values()) await client[Symbol.asyncDispose]();
    },
  };
}

/** The node of one home becomes a friend of that of the other, and its own node there: held to no quota. */
export async function befriend(home: string, issuerHome: string, signal: AbortSignal): Promise<void> {
  await using issuer = await patientClient(issuerHome, signal);
  await using client = await patientClient(home, signal);
  await settled(issuerHome, issuer);
  const { link } = await issuer.invite({ grant: { kind: "own" } }, signal);
  await client.join({ invite: link }, signal);
  await resultOf(client.update({}, signal));
}

/** Fifteen that start on two cores leave each other little time to answer. */
async function patientClient(home: string, signal: AbortSignal): Promise<Client> {
  for (let tries = 1; ; tries++) {
    try {
      return await openClient({ home, start: false }, signal);
    } catch (error) {
      if (tries === MAX_TRIES) throw error;
    }
  }
}

async function settled(name: string, client: Client): Promise<void> {
  const late = AbortSignal.timeout(SETTLE_MS);
  for (;;) {
    const { addresses, relay } = await client.status(late);
    if (relay.via.length > 0 || addresses.some((address) => !/^(10|100\.64)\./.test(address))) return;
    if (late.aborted) throw new Error(`${name} found no relay`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** The last of what a call streams. @throws what it failed with */
export async function resultOf<Result>(steps: AsyncIterable<{ result: Result } | object>): Promise<Result> {
  for await (const step of steps) if ("result" in step) return step.result as Result;
  throw new Error("it ended without a result");
}
