/**
 * Accepts an invite: reaches the node that issued it, shows the secret, and makes it a friend here.
 *
 * The issuer may do nothing here for that, unless the person says that both machines are his own.
 */

import { type Clock, type Log, within } from "../base/index.ts";
import {
  cleanText,
  defaultGrant,
  type Endpoint,
  Failure,
  type NodeId,
  formatEndpoint,
  parseInvite,
  parseLocalName,
  shortNodeId,
} from "../core/index.ts";
import type { Dialable, Link, Reach } from "../network/index.ts";
import { askRedeem } from "./ask.ts";
import type { JoinReply, JoinRequest } from "./contract.ts";
import type { Grants } from "./grants.ts";

/** A node that this one joins. */
export interface Friend {
  readonly id: NodeId;
  readonly relation: "own" | "friend";
  /** What it is to be called here; the table may add a number. */
  readonly name: string;
  readonly endpoints: readonly Endpoint[];
}

/** Takes the node into the table, and says what it is called there. @throws {Failure} conflict */
export type Befriend = (friend: Friend) => { readonly name: string };

export interface JoinDeps {
  readonly id: NodeId;
  /** What this node calls itself. */
  readonly name: () => string;
  readonly reach: Pick<Reach, "link">;
  readonly befriend: Befriend;
  /** Told where the relays of an invite are. @default it has to be known */
  readonly relaysAre?: (relays: ReadonlyMap<NodeId, Endpoint>) => void;
  readonly grants: Grants;
  readonly clock: Clock;
  readonly log: Log;
}

/** A question and its answer on a link that is up. */
const ANSWER_MS = 15_000;

/** @throws {Failure} bad-invite, bad-name, conflict, invite-refused, too-often, timed-out; what reaching a node throws */
export async function join(deps: JoinDeps, request: JoinRequest, signal: AbortSignal): Promise<JoinReply> {
  const { clock, reach, grants, befriend, log } = deps;
  const wanted = request.name === undefined ? undefined : parseLocalName(request.name);
  const { issuer, token, endpoints, via, relays = [] } = parseInvite(request.invite);
  if (issuer === deps.id) {
    throw new Failure("conflict", "this node issued that invite itself", { hint: "redeem it on the other machine" });
  }
  deps.relaysAre?.(
    new Map(relays.flatMap((endpoint, index) => via.slice(index, index + 1).map((id) => [id, endpoint]))),
  );
  const link = await reachIssuer(reach, { id: issuer, endpoints, via }, signal);
  const reply = await within(
    { clock, timeoutMs: ANSWER_MS, late },
    (attempt) => askRedeem(link, { token, name: deps.name() }, attempt),
    signal,
  );
  const relation = request.own === true ? "own" : "friend";
  const { name } = befriend({ id: issuer, relation, name: wanted ?? cleanText(reply.name, 32), endpoints });
  if (relation === "own") grants.give(issuer, { grant: { ...defaultGrant, kind: "own" }, name });
  log.info("joined a node", { node: issuer, relation });
  return { id: issuer, name, relation, grant: reply.grant };
}

/** Who could not be reached, and where: nobody knows the node by a name yet. @throws {Failure} what reaching it throws */
async function reachIssuer(reach: JoinDeps["reach"], target: Dialable, signal: AbortSignal): Promise<Link> {
  try {
    return await reach.link(target, signal);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    const { id, endpoints, via } = target;
    const where = endpoints.length > 0 ? ` at ${endpoints.map(formatEndpoint).join(", ")}` : "";
    const nowhere = endpoints.length === 0 && via.length === 0;
    throw new Failure(
      error.code,
      `${shortNodeId(id)}, which issued the invite, cannot be reached${where}: ${error.message}`,
      {
        hint: nowhere
          ? "the link holds no address: ask for a new one from a node that others can reach"
          : error.hint?.replaceAll("NODE", id),
        cause: error,
      },
    );
  }
}

function late(): Failure {
  return new Failure("timed-out", "the node that issued the invite did not answer in time", {
    hint: "try again: the same invite works for the same node",
  });
}
