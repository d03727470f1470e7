/** A node as far as a record makes one: a key that is the same for the same number, and what it signs. */

import type { KeyObject } from "node:crypto";
import { createPublicKey } from "node:crypto";
import {
  type NodeId,
  nodeIdFromPublicKey,
  type NodeRecord,
  privateKeyFromSeed,
  type SignedRecord,
  signRecord,
} from "../../src/core/index.ts";

export class SignedNode {
  readonly id: NodeId;
  readonly key: KeyObject;
  readonly number: number;

  constructor(number: number) {
    this.number = number;
    const seed = Buffer.alloc(32);
    seed.writeUInt32BE(number, 0);
    this.key = privateKeyFromSeed(seed);
    const { x = "" } = createPublicKey(this.key).export({ format: "jwk" });
    this.id = nodeIdFromPublicKey(Buffer.from(x, "base64url"));
  }

  /** An address of its own, with a provider of its own. */
  get address(): string {
    return `${20 + (this.number >> 8)}.${this.number & 255}.0.1`;
  }

  record(fields: Partial<NodeRecord> = {}): NodeRecord {
    return {
      v: 1,
      id: this.id,
      seq: 1,
      name: `node-${this.number}`,
      addresses: [this.address],
      port: 8088,
      udpPort: 0,
      nat: "none",
      via: [],
      labels: [],
      resources: { cpus: 4, memoryBytes: 8e9, diskBytes: 1e11, gpus: [] },
      version: "0.1.0",
      info: "",
      lends: true,
      boot: "0123456789abcdef",
      ...fields,
    };
  }

  sign(fields: Partial<NodeRecord> = {}): SignedRecord {
    return signRecord(this.record(fields), this.key);
  }

  versioned(fields: Partial<NodeRecord> = {}): { readonly signed: SignedRecord; readonly record: NodeRecord } {
    return { signed: this.sign(fields), record: this.record(fields) };
  }
}
