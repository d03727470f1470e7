import { carrierContract, type CarrierWorld } from "../../../test/contract/carrier.ts";
import { RelayNode } from "../../../test/support/relay-lab.ts";
import { type Endpoint, Failure } from "../../core/index.ts";
import type { Carrier, DialRequest, Identity, Listener, Pipe } from "../../network/index.ts";

carrierContract("a stream through a relay", () => new RelayedWorld());

/** Nodes of which each is reached through one and the same relay; an endpoint's port says whom it means. */
class RelayedWorld implements CarrierWorld {
  readonly #relay = RelayNode.open({ rankOf: () => "trusted" }).then((relay) => relay.listen());
  readonly #listening = new Map<number, RelayNode>();

  carrier(identity: Identity): Carrier {
    return {
      dial: (request, signal) => this.#dial(identity, request, signal),
      listen: (onPipe) => this.#listen(identity, onPipe),
    };
  }

  reach(endpoint: Endpoint): Endpoint {
    return endpoint;
  }

  async #listen(identity: Identity, take: (pipe: Pipe) => void): Promise<Listener> {
    const node = await RelayNode.open({ identity, take });
    await node.chooses(await this.#relay);
    const port = 1_000 + this.#listening.size;
    this.#listening.set(port, node);
    return {
      endpoints: [{ host: "0.0.0.0", port }],
      [Symbol.asyncDispose]: async () => {
        this.#listening.delete(port);
        await node[Symbol.asyncDispose]();
        if (this.#listening.size === 0) await (await this.#relay)[Symbol.asyncDispose]();
      },
    };
  }

  async #dial(identity: Identity, { endpoint, expect, asks }: DialRequest, signal: AbortSignal): Promise<Pipe> {
    const target = this.#listening.get(endpoint.port);
    if (target === undefined) throw new Failure("unreachable", "nothing listens there");
    const node = await RelayNode.open({ identity });
    try {
      const relay = await this.#relay;
      const link = await node.network.link(relay.dialable, signal);
      const stream = await link.connect(`node:${target.id}`, signal);
      const passed = { via: relay.id, remote: "via garage" };
      const pipe = await node.inner.dial(stream, { expect: expect ?? target.id, asks, ...passed }, signal);
      pipe.duplex.once("close", () => void node[Symbol.asyncDispose]());
      return pipe;
    } catch (error) {
      await node[Symbol.asyncDispose]();
      throw error;
    }
  }
}
