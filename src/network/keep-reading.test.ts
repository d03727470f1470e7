import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { type Duplex, PassThrough } from "node:stream";
import { test } from "node:test";
import { VirtualClock } from "../../test/support/virtual-clock.ts";
import { Scope, silentLog, systemClock, within } from "../base/index.ts";
import { Failure } from "../core/index.ts";
import { Answering } from "./answering.ts";
import { identityFromSeed } from "./identity.ts";
import { keepReading } from "./keep-reading.ts";
import { Network } from "./network.ts";
import { TcpCarrier } from "./tcp-carrier.ts";

const never = new AbortController().signal;
/** Many times what the sockets between two ends hold. */
const BYTES = 64 * 1024 * 1024;
const CHUNK = Buffer.alloc(256 * 1024);

test("a link goes on while both ends send at full speed", { timeout: 30_000 }, async () => {
  await using scope = new AsyncDisposableStack();
  const answerer = scope.use(await End.open());
  const asker = scope.use(await End.open());
  const received = Promise.withResolvers<number>();
  answerer.answering.attach(
    (_request, response) => void response.end(),
    (tunnel) => void exchange(tunnel.accept()).then(received.resolve, received.reject),
  );
  const listener = scope.use(await answerer.network.listen({ hosts: ["127.0.0.1"], port: 0 }, never));
  const target = { id: answerer.id, endpoints: listener.endpoints, via: [] };
  const link = await asker.network.link(target, never);
  const late = () => new Failure("timed-out", "the link has locked up");
  const both = async () => Promise.all([exchange(await link.connect("bulk:", never)), received.promise]);
  assert.deepEqual(await within({ clock: systemClock, timeoutMs: 20_000, late }, both, never), [BYTES, BYTES]);
});

test("looks seldom at a link on which nothing arrives, and at once again at one on which something did", async () => {
  await using scope = new Scope();
  const clock = new VirtualClock();
  let looks = 0;
  let bytes = 0;
  const bytesRead = () => {
    looks++;
    return bytes;
  };
  const opened = keepReading({ duplex: new PassThrough(), bytesRead, isBusy: () => true }, clock, scope);
  opened();
  await clock.advance(600_000);
  assert.ok(looks < 500, `${looks} looks in ten minutes`);
  for (let i = 0; i < 100; i++) {
    if (i === 50) looks = 0; // the next look may have been that far off
    bytes++;
    await clock.advance(40);
  }
  assert.ok(looks >= 60, `${looks} looks in two seconds`);
});

/** Sends all it has, as fast as it goes, and reads what comes. @returns how much came */
async function exchange(stream: Duplex): Promise<number> {
  stream.on("error", () => {}); // reading ends
  const sending = (async () => {
    for (let sent = 0; sent < BYTES; sent += CHUNK.length)
      if (!stream.write(CHUNK)) await new Promise((resolve) => stream.once("drain", resolve));
  })();
  let bytes = 0;
  for await (const chunk of stream.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes >= BYTES) break;
  }
  await sending;
  return bytes;
}

class End implements AsyncDisposable {
  readonly id;
  readonly answering: Answering;
  readonly network: Network;

  static async open(): Promise<End> {
    return new End(await identityFromSeed(randomBytes(32)));
  }

  private constructor(identity: Awaited<ReturnType<typeof identityFromSeed>>) {
    const isTrusted = () => true;
    this.id = identity.id;
    this.answering = new Answering(systemClock, { isKnown: () => true });
    const carrier = new TcpCarrier({ identity, clock: systemClock, isTrusted });
    const deps = { id: identity.id, carrier, answering: this.answering, clock: systemClock, log: silentLog };
    this.network = new Network({ ...deps, isTrusted, isKnown: () => true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.network[Symbol.asyncDispose]();
    await this.answering[Symbol.asyncDispose]();
  }
}
