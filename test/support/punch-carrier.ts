/** Punching as a Carrier, for the suite that every carrier passes: an address of this pretend world stands for a key. */

import { type Endpoint, Failure, type NodeId, nodeIdFromPublicKey } from "../../src/core/index.ts";
import type { Carrier, Identity } from "../../src/network/index.ts";
import { PunchLab } from "./punch-lab.ts";

const HOST = "198.51.100.1";
/** Lower ones lead nowhere. */
const FIRST_PORT = 1_000;

export class PunchWorld {
  readonly #lab = PunchLab.open();
  readonly #ids: NodeId[] = [];

  carrier(identity: Identity): Carrier {
    const seed = Buffer.from(identity.key.export({ format: "jwk" }).d ?? "", "base64url");
    return {
      dial: async ({ endpoint, expect, asks }, signal) => {
        const lab = await this.#lab;
        const id = this.#ids[endpoint.port - FIRST_PORT] ?? nodeIdFromPublicKey(Buffer.alloc(32, 9));
        if (expect !== undefined && expect !== id && this.#ids.includes(id))
          throw new Failure("wrong-key", "whoever dials by key meets no other key");
        const { punch } = await lab.node({ seed });
        const pipe = await punch.dial({ id, asks }, signal);
        pipe.duplex.once("close", () => void punch[Symbol.asyncDispose]());
        return pipe;
      },
      listen: async (take) => {
        const { punch } = await (await this.#lab).node({ seed, answers: true, take });
        const endpoint: Endpoint = { host: HOST, port: FIRST_PORT + this.#ids.push(identity.id) - 1 };
        return { endpoints: [endpoint], [Symbol.asyncDispose]: () => punch[Symbol.asyncDispose]() };
      },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await (await this.#lab)[Symbol.asyncDispose]();
  }
}
