/**
 * Nodes of the product's network and relay rooms over loopback: one that passes on, or many in one process that are reached
 * through it or ask through it.
 */

import type { NodeId } from "../../src/core/index.ts";
import type { Dialable, Link } from "../../src/network/index.ts";
import { RelayNode } from "../../test/support/relay-lab.ts";
import { act } from "../support/actor.ts";

const never = new AbortController().signal;
const nodes: RelayNode[] = [];
const links: Link[] = [];
let garage: Dialable | undefined;

/** Friends all of them, and as many as come: the quotas are not what is measured. */
const add = async () => {
  const node = await RelayNode.open({
    rankOf: () => "trusted",
    relays: () => (garage === undefined ? [] : [garage]),
    relay: { registrations: { max: 4_096 } },
  });
  nodes.push(node);
  return node;
};

const part = {
  /** Becomes the relay. */
  async listen(): Promise<Dialable> {
    return (await (await add()).listen()).dialable;
  },

  /** This many nodes more. @returns their ids */
  async make(count: number): Promise<NodeId[]> {
    return (await Promise.all(Array.from({ length: count }, add))).map(({ id }) => id);
  },

  /** The relay takes them. */
  admit(ids: readonly NodeId[]): void {
    for (const id of ids) nodes[0]?.relay.register({ id, remote: "127.0.0.1:1" });
  },

  /** Each of them opens a link to the relay on which that can ask. */
  async register(relay: Dialable): Promise<void> {
    for (const { chosen, network } of nodes) {
      chosen.add(relay.id);
      await network.answerOn(relay, never);
    }
  },

  /** A link through the relay to each of them, from one node in a few hundred. */
  async reach({ relay, ids }: { relay: Dialable; ids: readonly NodeId[] }): Promise<number> {
    garage = relay;
    const asker = await add();
    for (const id of ids) {
      const link = await asker.network.link({ id, endpoints: [], via: [relay.id] }, never);
      link.keep();
      links.push(link);
    }
    return links.filter(({ open, path }) => open && path.kind === "relayed").length;
  },

  open(): number {
    return links.filter(({ open }) => open).length;
  },

  /** What the process needs after a collection, in bytes. */
  async rss(): Promise<number> {
    for (let i = 0; i < 3; i++) {
      globalThis.gc?.();
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    return process.memoryUsage.rss();
  },
};

export type RelayPart = typeof part;
act(part);
