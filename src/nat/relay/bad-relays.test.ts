import assert from "node:assert/strict";
import { type Duplex, Transform } from "node:stream";
import { describe, test } from "node:test";
import { RelayNode } from "../../../test/support/relay-lab.ts";
import { Scope, splice } from "../../base/index.ts";
import type { NodeId } from "../../core/index.ts";
import type { Link } from "../../network/index.ts";

const never = new AbortController().signal;

describe("a relay that means ill", { timeout: 20_000 }, () => {
  test("and changes what it passes on is noticed and named, and the next one is taken", async () => {
    await using street = await Street.open(({ evil, attic }) => evil.passOn(attic, () => changing({ on: true })));
    const link = await street.meet();
    assert.equal(link.path.via, street.honest.id);
    const [{ outcome, reason } = { outcome: "", reason: "" }] = street.barn.network.attempts(street.attic.id);
    assert.equal(outcome, "unreachable");
    assert.match(reason, /^through garage: no p2prc node answers there: /);
    assert.ok((await link.ping(never)) > 0);
  });

  test("and changes it later breaks the link", async () => {
    const change = { on: false };
    await using street = await Street.open(({ evil, attic }) => evil.passOn(attic, () => changing(change)));
    const link = await street.meet({ evilAlone: true });
    assert.ok((await link.ping(never)) > 0);
    change.on = true;
    await assert.rejects(link.ping(never), { code: "link-lost" });
    await link.ended;
  });

  test("and swallows all of it is named, and costs no more than its turn", async () => {
    await using street = await Street.open(({ evil, attic }) => evil.passOn(attic, swallowing));
    assert.equal((await street.meet()).path.via, street.honest.id);
    await using other = await Street.open(({ evil, attic }) => evil.passOn(attic, swallowing));
    const reason = /through garage: no answer within 0.5 s/;
    await assert.rejects(other.meet({ evilAlone: true }), { code: "unreachable", message: reason });
  });

  test("and never answers costs no more than its turn", async () => {
    await using street = await Street.open(() => new Promise(() => {}));
    assert.equal((await street.meet()).path.via, street.honest.id);
  });

  test("and answers in the other's place shows its own key", async () => {
    await using street = await Street.open(
      async ({ evil }) =>
        (stream) =>
          evil.pretend(stream),
    );
    await assert.rejects(street.meet({ evilAlone: true }), {
      code: "wrong-key",
      message: /through garage: another node answers there/,
    });
  });
});

interface World {
  readonly evil: EvilRelay;
  readonly attic: NodeId;
}

/** What it does when somebody asks it for a node. */
type Ill = (world: World) => Promise<(stream: Duplex) => void>;

class EvilRelay {
  readonly node: RelayNode;

  constructor(node: RelayNode) {
    this.node = node;
  }

  /** As a relay does, with something in between. */
  async passOn(target: NodeId, between: () => Transform): Promise<(stream: Duplex) => void> {
    const far = await this.node.network.existing(target)?.connect(`arrive:${target}`, never);
    assert.ok(far);
    return (near) => void splice(near, far, between);
  }

  pretend(stream: Duplex): void {
    const passed = { via: this.node.id, remote: "itself", asker: "" };
    this.node.inner.accept(stream, passed, never).then(
      () => undefined,
      () => undefined, // whoever came has seen the key, and left
    );
  }
}

/** attic has two relays: one that means ill, which is asked first, and an honest one. */
class Street implements AsyncDisposable {
  readonly #scope: Scope;
  readonly honest: RelayNode;
  readonly evil: RelayNode;
  readonly attic: RelayNode;
  readonly barn: RelayNode;

  static async open(ill: Ill): Promise<Street> {
    const scope = new Scope();
    const world: { value?: World } = {};
    const open = async () => {
      assert.ok(world.value);
      return await ill(world.value);
    };
    const evil = scope.own(await (await RelayNode.open({ tunnels: [{ kind: "node", open }] })).listen());
    const honest = scope.own(await (await RelayNode.open()).listen());
    const attic = scope.own(await RelayNode.open());
    const relays = () => [evil.dialable, honest.dialable];
    const barn = scope.own(await RelayNode.open({ relays, inner: { handshakeTimeoutMs: 500 } }));
    world.value = { evil: new EvilRelay(evil), attic: attic.id };
    await attic.chooses(evil);
    await attic.chooses(honest);
    return new Street({ scope, honest, evil, attic, barn });
  }

  private constructor({
    scope,
    ...nodes
  }: { readonly scope: Scope } & Pick<Street, "honest" | "evil" | "attic" | "barn">) {
    this.#scope = scope;
    this.honest = nodes.honest;
    this.evil = nodes.evil;
    this.attic = nodes.attic;
    this.barn = nodes.barn;
  }

  meet({ evilAlone = false } = {}): Promise<Link> {
    const via = [this.evil.id, ...(evilAlone ? [] : [this.honest.id])];
    return this.barn.network.link({ id: this.attic.id, endpoints: [], via }, never);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#scope.close();
  }
}

/** Flips a bit of each piece, while it is on. */
function changing(change: { readonly on: boolean }): Transform {
  return new Transform({
    transform: (chunk: Buffer, _encoding, done) => {
      const copy = Buffer.from(chunk);
      const last = copy.length - 1;
      if (change.on) copy[last] = (copy[last] ?? 0) ^ 1;
      done(null, copy);
    },
  });
}

function swallowing(): Transform {
  return new Transform({ transform: (_chunk, _encoding, done) => done() });
}
