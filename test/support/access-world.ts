/** Nodes that invite each other, over links in memory and one state each. */

import type { DatabaseSync } from "node:sqlite";
import { AccessStore, type Friend, Grants, Invites, serveAccess } from "../../src/access/index.ts";
import { type Facts, type Log, seededRandom, silentLog } from "../../src/base/index.ts";
import type { Caller, Endpoint, NodeId } from "../../src/core/index.ts";
import { openDatabase } from "../../src/store/index.ts";
import { type FakeLink, fakeId, MemoryApp } from "./fake-link.ts";
import { VirtualClock } from "./virtual-clock.ts";

export interface NodeOptions {
  readonly clock?: VirtualClock;
  readonly database?: DatabaseSync;
  readonly maxGrants?: number;
  readonly maxOpen?: number;
  readonly maxClosed?: number;
  /** Whom it reaches. */
  readonly links?: () => readonly FakeLink[];
}

/** One node with its invites and grants. */
export class AccessNode {
  readonly id: NodeId;
  readonly clock: VirtualClock;
  readonly database: DatabaseSync;
  readonly grants: Grants;
  readonly invites: Invites;
  readonly friends: Friend[] = [];
  readonly said: { readonly message: string; readonly facts: Facts | undefined }[] = [];
  readonly endpoints: readonly Endpoint[] = [{ host: "192.168.1.5", port: 8088 }];
  readonly #links: () => readonly FakeLink[];
  readonly #log: Log;

  constructor(number: number, { clock, database, links = () => [], ...options }: NodeOptions = {}) {
    this.id = fakeId(number);
    this.clock = clock ?? new VirtualClock();
    this.database = database ?? openDatabase(":memory:");
    this.#links = links;
    const info = (message: string, facts?: Facts) => void this.said.push({ message, facts });
    this.#log = { ...silentLog, info };
    const store = new AccessStore(this.database);
    const nameOf = (id: NodeId) => this.friends.find((friend) => friend.id === id)?.name;
    const shared = { store, clock: this.clock, log: this.#log };
    this.grants = new Grants({ ...shared, nameOf }, options);
    const whereabouts = () => ({ endpoints: this.endpoints, via: [] });
    const random = seededRandom(
      number * 1_000 + Number(this.database.prepare("SELECT count(*) AS n FROM access_invites").get()?.["n"]),
    );
    this.invites = new Invites({ ...shared, id: this.id, whereabouts, grants: this.grants, random }, options);
  }

  get deps() {
    return {
      id: this.id,
      name: () => `node-${this.id.slice(0, 4)}`,
      reach: {
        link: async ({ id }: { readonly id: NodeId }) => {
          const link = this.#links().find(({ peer }) => peer === id);
          if (link === undefined) throw new TypeError("nobody there");
          return link;
        },
      },
      befriend: (friend: Friend) => {
        this.friends.push(friend);
        return { name: friend.name };
      },
      grants: this.grants,
      invites: this.invites,
      clock: this.clock,
      log: this.#log,
    };
  }

  /** Its routes, as `caller` meets them. */
  open(caller: Caller): Promise<MemoryApp> {
    return MemoryApp.open(caller, this.grants.roleOf(caller), async (app) => {
      await app.register(serveAccess(this.deps));
    });
  }

  /** The same node after a restart of the daemon. */
  restarted(number: number): AccessNode {
    return new AccessNode(number, { clock: this.clock, database: this.database });
  }
}

export function nodeCaller(number: number, remote = "192.0.2.1:5000"): Extract<Caller, { readonly kind: "node" }> {
  return { kind: "node", id: fakeId(number), remote };
}
