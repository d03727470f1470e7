/**
 * An owner's node as its guest meets it, in memory: answers the questions about sandboxes from a map, and a test says
 * what goes wrong. Byte streams echo, after the target.
 */

import { duplexPair, type Duplex, Readable } from "node:stream";
import type { Clock } from "../../src/base/index.ts";
import { Failure, type NodeId } from "../../src/core/index.ts";
import type { LinkReply, LinkRequest } from "../../src/network/index.ts";
import type { CreateRequest, Offer, Sandbox } from "../../src/sandbox/contract.ts";
import { FakeLink, replyOf } from "./fake-link.ts";

const GIB = 1024 ** 3;

export class FakeOwner {
  readonly name: string;
  readonly id: NodeId;
  readonly sandboxes = new Map<string, Sandbox>();
  readonly asked: string[] = [];
  offer: Offer = {
    runtime: "memory",
    profiles: ["strict", "dev"],
    images: "registry",
    allowedImages: ["*"],
    free: { cpus: 4, memoryBytes: 8 * GIB, diskBytes: 50 * GIB, sandboxes: 2 },
    gpus: [],
    problems: [],
  };
  /** Whether it can be reached at all. */
  up = true;
  /** Its answer comes only when the asker has given up. */
  silent = false;
  /** How many answers to a making are lost on the way: the sandbox is made all the same. */
  losesAnswers = 0;
  /** In the place of every answer. */
  refusal: Failure | undefined;
  readonly #clock: Clock;

  constructor(clock: Clock, { name, id }: { readonly name: string; readonly id: NodeId }) {
    this.#clock = clock;
    this.name = name;
    this.id = id;
  }

  link(): FakeLink {
    if (!this.up) throw new Failure("unreachable", `${this.name} does not answer`);
    return new OwnerLink(this, this.#clock);
  }

  async answer({ method, path, body }: LinkRequest, signal: AbortSignal): Promise<LinkReply> {
    this.asked.push(`${method} ${path}`);
    if (this.silent) await this.#clock.sleep(Number.POSITIVE_INFINITY, signal);
    if (this.refusal !== undefined) return refused(this.refusal);
    if (method === "POST" && path === "/v1/sandboxes") return this.#create(body as CreateRequest);
    if (path === "/v1/offer") return replyOf(200, this.offer);
    if (path === "/v1/sandboxes") return replyOf(200, { sandboxes: [...this.sandboxes.values()] });
    return this.#ofOne({ method, path, body });
  }

  #ofOne({ method, path, body }: LinkRequest): LinkReply {
    const [, id = "", rest = ""] = /^\/v1\/sandboxes\/([a-z2-7]+)\/?(\w*)/.exec(path) ?? [];
    const sandbox = this.sandboxes.get(id);
    if (sandbox === undefined) return refused(new Failure("not-found", "no such sandbox"));
    if (method === "DELETE") this.sandboxes.delete(id);
    if (rest === "extend") {
      const { lifetimeMs } = body as { lifetimeMs: number };
      this.sandboxes.set(id, { ...sandbox, expires: this.#clock.wallTime() + lifetimeMs });
    }
    if (rest === "stats") return replyOf(200, statsOf(sandbox));
    if (rest === "logs") return replyOf(200, Readable.from([Buffer.from("one\ntwo\n")]));
    return replyOf(200, this.sandboxes.get(id) ?? sandbox);
  }

  connect(target: string): Duplex {
    const [near, far] = duplexPair();
    const id = /:([a-z2-7]{16})/.exec(target)?.[1] ?? "";
    if (!this.sandboxes.has(id)) throw new Failure("not-found", "no such sandbox");
    far.write(`${target}\n`);
    far.pipe(far);
    return near;
  }

  #create(request: CreateRequest): LinkReply {
    const { id, name, image, ports = 0, lifetimeMs = 2 * 3_600_000 } = request;
    const now = this.#clock.wallTime();
    const sandbox: Sandbox = {
      ...{ id, name, ports, guest: this.id, state: "running", runtime: "memory", profile: "dev", network: "internet" },
      ...(image === undefined ? {} : { image }),
      ...{
        cpus: 1,
        memoryBytes: GIB,
        diskBytes: 10 * GIB,
        gpus: [],
        made: now,
        expires: now + lifetimeMs,
        user: "root",
      },
    };
    this.sandboxes.set(id, this.sandboxes.get(id) ?? sandbox);
    const lines = [{ progress: { step: "admitted" } }, { result: this.sandboxes.get(id) }];
    const lost = this.losesAnswers-- > 0;
    const text = (lost ? lines.slice(0, 1) : lines).map((line) => `${JSON.stringify(line)}\n`).join("");
    return replyOf(200, Readable.from([Buffer.from(text)]));
  }
}

class OwnerLink extends FakeLink {
  readonly #owner: FakeOwner;

  constructor(owner: FakeOwner, clock: Clock) {
    super({ clock, peer: owner.id, answer: (request, signal) => owner.answer(request, signal) });
    this.#owner = owner;
  }

  override connect(target?: string): Promise<never> {
    const open = async () => this.#owner.connect(target ?? "");
    return open() as Promise<never>; // a fake link without tunnels never resolves; this one does
  }
}

function refused({ code, message, hint }: Failure): LinkReply {
  return replyOf(400, { error: { code, message, ...(hint === undefined ? {} : { hint }) } });
}

function statsOf({ id }: Sandbox) {
  return { id, cpuMs: 1, memoryBytes: 2, diskBytes: 3, pids: 4, receivedBytes: 5, sentBytes: 6, linkBytes: 7 };
}
