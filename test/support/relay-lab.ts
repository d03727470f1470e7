/** Nodes over real TCP on loopback with what relaying needs and nothing else: one that passes on, and those that cannot be dialled. */

import { randomBytes } from "node:crypto";
import type { Duplex } from "node:stream";
import { type Clock, isAbort, Scope, silentLog, systemClock } from "../../src/base/index.ts";
import { type Caller, Failure, type NodeId } from "../../src/core/index.ts";
import { Arrivals, Relay, RelayedWays, type RelayOptions, type RelayRank } from "../../src/nat/index.ts";
import {
  Answering,
  type Dialable,
  type Ended,
  type Identity,
  identityFromSeed,
  InnerTls,
  type InnerTlsOptions,
  Network,
  type Pipe,
  TcpCarrier,
  type Tunnel,
} from "../../src/network/index.ts";

interface TunnelRow {
  readonly kind: string;
  open(rest: string, caller: Caller, signal: AbortSignal): Promise<(stream: Duplex) => void>;
}

export interface RelayNodeOptions {
  readonly identity?: Identity;
  readonly clock?: Clock;
  readonly relay?: RelayOptions;
  readonly inner?: InnerTlsOptions;
  /** What others are to it. @default strangers */
  readonly rankOf?: (id: NodeId) => RelayRank;
  /** Whom it knows as its guests, beside those of some rank. @default nobody */
  readonly knows?: (id: NodeId) => boolean;
  /** Relays that it knows. */
  readonly relays?: () => readonly Dialable[];
  /** Takes who arrives. @default its network */
  readonly take?: (pipe: Pipe) => void;
  /** Kinds that stand in for its own, or come beside them. */
  readonly tunnels?: readonly TunnelRow[];
}

export class RelayNode implements AsyncDisposable {
  readonly #scope = new Scope();
  readonly identity: Identity;
  readonly network: Network;
  readonly answering: Answering;
  readonly inner: InnerTls;
  readonly relay: Relay;
  readonly arrivals: Arrivals;
  /** Whom it asked to pass others on to it. */
  readonly chosen = new Set<NodeId>();
  /** What relays ended by limits of theirs. */
  readonly limits: Ended[] = [];
  #endpoint: Dialable["endpoints"] = [];

  static async open(options: RelayNodeOptions = {}): Promise<RelayNode> {
    return new RelayNode(options.identity ?? (await identityFromSeed(randomBytes(32))), options);
  }

  private constructor(identity: Identity, options: RelayNodeOptions) {
    const { clock = systemClock, rankOf = () => "stranger" } = options;
    const { id } = identity;
    const isKnown = (other: NodeId) => rankOf(other) !== "stranger";
    this.identity = identity;
    this.answering = this.#scope.own(new Answering(clock, { isKnown }));
    const carrier = new TcpCarrier({ identity, clock, isTrusted: () => true });
    const { answering } = this;
    const log = silentLog;
    this.network = this.#scope.own(new Network({ id, carrier, answering, clock, log, isTrusted: () => true, isKnown }));
    const { network } = this;
    this.inner = new InnerTls({ identity, clock, onLimit: (ended) => this.#hitLimit(ended) }, options.inner);
    const existing = (other: NodeId) => network.existing(other);
    this.relay = this.#scope.own(
      new Relay({ existing, rankOf, groupOf: () => undefined, lends: () => true, clock, log }, options.relay),
    );
    this.arrivals = this.#scope.own(
      new Arrivals({
        inner: this.inner,
        mayBring: (other) => this.chosen.has(other) || isKnown(other),
        isKnown: (other) => isKnown(other) || options.knows?.(other) === true,
        take: options.take ?? ((pipe) => network.take(pipe)),
        log,
      }),
    );
    const relays = options.relays ?? (() => []);
    const passage = new RelayedWays({
      id,
      inner: this.inner,
      reach: network,
      relay: (other) => relays().find((relay) => relay.id === other),
      helpers: () => [],
      nameOf: () => "garage",
      clock,
    });
    this.network.addPassage(passage);
    network.changes.on(({ link }) => this.relay.registrations.linked(link.peer));
    const rows = [...(options.tunnels ?? []), this.relay.tunnel, ...this.arrivals.tunnels];
    answering.attach(
      (request, response) => {
        const caller = answering.callerOf(request);
        response.end(caller.kind === "node" ? caller.id : caller.kind);
      },
      (tunnel) => void openTunnel(rows, tunnel),
    );
  }

  #hitLimit(ended: Ended): void {
    this.limits.push(ended);
    this.network.noteEnd(ended.peer, ended.path, ended.why);
  }

  get id(): NodeId {
    return this.identity.id;
  }

  /** As others dial it. */
  get dialable(): Dialable {
    return { id: this.id, endpoints: this.#endpoint, via: [] };
  }

  async listen(): Promise<this> {
    const listener = this.#scope.own(await this.network.listen({ hosts: ["127.0.0.1"], port: 0 }, this.#scope.signal));
    this.#endpoint = listener.endpoints;
    return this;
  }

  /** Lets itself be reached through `relay`. */
  async chooses(relay: RelayNode): Promise<void> {
    this.chosen.add(relay.id);
    relay.relay.register({ id: this.id, remote: "192.0.2.9:1" });
    await this.network.answerOn(relay.dialable, this.#scope.signal);
    for (let tries = 0; relay.network.existing(this.id) === undefined; tries++) {
      if (tries > 200) throw new Error("the reverse link did not come up");
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#scope.close();
  }
}

async function openTunnel(rows: readonly TunnelRow[], tunnel: Tunnel): Promise<void> {
  const [kind = "", ...rest] = tunnel.target.split(":");
  try {
    const row = rows.find((each) => each.kind === kind);
    if (row === undefined) throw new Failure("not-found", "no such target");
    const carry = await row.open(rest.join(":"), tunnel.caller, tunnel.gone);
    carry(tunnel.accept());
  } catch (error) {
    if (isAbort(error, tunnel.gone)) return;
    if (!(error instanceof Failure)) throw error;
    tunnel.refuse(error);
  }
}
