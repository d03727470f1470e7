/** How much of a machine's own speed is left inside a link, and what readers that stop cost it. */

import type { NodePart } from "./actors/node.ts";
import type { TcpPart } from "./actors/tcp.ts";
import type { TlsPart } from "./actors/tls.ts";
import { Actor } from "./support/actor.ts";
import { type Bench, type Row, type Table, verdict } from "./support/bench.ts";
import { alternate, MB, MIB, median, quantile } from "./support/numbers.ts";
import { freePorts } from "../test/support/punch-lab.ts";
import { ciphers, lacksOpenSsh, OpenSsh } from "./support/openssh.ts";
import { peakRssBytes, resetPeak } from "./support/process-costs.ts";

/** One second or so a measurement: long enough for windows and compilers to settle, short enough for many. */
const BYTES = 512 * MB;
const ROUNDS = 7;
const STREAMS = [1, 8, 64] as const;

export const tunnel: Bench = {
  name: "tunnel",
  summary: "CONNECT streams between two node processes, beside plain TLS between two",
  async run(note) {
    await using server = await Actor.start<NodePart>("node.ts");
    await using client = await Actor.start<NodePart>("node.ts");
    await using plainServer = await Actor.start<TlsPart>("tls.ts");
    await using plainClient = await Actor.start<TlsPart>("tls.ts");
    const end = await server.call("listen");
    const port = await plainServer.call("listen");
    const rows: Row[] = [];
    for (const streams of STREAMS) {
      note(`${streams} streams`);
      for (const { pid } of [server, client]) resetPeak(pid);
      const ms = await alternate(["link", "tls"], ROUNDS, (name) =>
        name === "link"
          ? client.call("pull", { end, streams, bytes: BYTES })
          : plainClient.call("pull", { port, streams, bytes: BYTES }),
      );
      const ratio = median(ms.tls) / median(ms.link);
      rows.push({
        streams,
        "CONNECT MB/s": speed(ms.link),
        "plain TLS MB/s": speed(ms.tls),
        ratio,
        target: streams === 1 ? ">= 0.8" : "",
        verdict: streams === 1 ? verdict(ratio >= 0.8) : "",
        "reader peak MiB": mib(peakRssBytes(client.pid)),
        "sender peak MiB": mib(peakRssBytes(server.pid)),
      });
    }
    return [{ title: "Throughput of CONNECT streams on one link; plain TLS has a connection a stream", rows }];
  },
};

/** A tenth: UDX passes each packet through the kernel and through JavaScript by itself. */
const PUNCHED_BYTES = 64 * MB;

export const punched: Bench = {
  name: "punched",
  summary: "CONNECT streams on a punched link (UDP), beside the same on a link by TCP",
  async run(note) {
    await using server = await Actor.start<NodePart>("node.ts");
    await using client = await Actor.start<NodePart>("node.ts");
    await using tcpClient = await Actor.start<NodePart>("node.ts");
    const ends = {
      udp: await server.call("listenPunched", { port: await freePorts(16) }),
      tcp: await server.call("listen"),
    };
    const rows: Row[] = [];
    for (const streams of [1, 8]) {
      note(`${streams} streams`);
      for (const { pid } of [server, client]) resetPeak(pid);
      const ms = await alternate(["udp", "tcp"], ROUNDS, (name) =>
        name === "udp"
          ? client.call("pull", { end: ends.udp, streams, bytes: PUNCHED_BYTES })
          : tcpClient.call("pull", { end: ends.tcp, streams, bytes: PUNCHED_BYTES }),
      );
      rows.push({
        streams,
        "punched MB/s": speed(ms.udp, PUNCHED_BYTES),
        "TCP MB/s": speed(ms.tcp, PUNCHED_BYTES),
        ratio: median(ms.tcp) / median(ms.udp),
        "reader peak MiB": mib(peakRssBytes(client.pid)),
        "sender peak MiB": mib(peakRssBytes(server.pid)),
      });
    }
    return [{ title: "Throughput of CONNECT streams on a punched link and on one by TCP, on loopback", rows }];
  },
};

export const forward: Bench = {
  name: "forward",
  summary: "a forwarded TCP port, both local hops included, beside ssh -L of OpenSSH",
  lacks: lacksOpenSsh,
  async run(note) {
    await using service = await Actor.start<TcpPart>("tcp.ts");
    await using reader = await Actor.start<TcpPart>("tcp.ts");
    await using server = await Actor.start<NodePart>("node.ts");
    await using client = await Actor.start<NodePart>("node.ts");
    await using ssh = await OpenSsh.open();
    const to = await service.call("serve");
    const ports: Record<string, number> = {
      p2prc: await client.call("forward", { end: await server.call("listen"), to }),
    };
    for (const cipher of ciphers) ports[cipher] = await ssh.forward(to, cipher);
    const rows: Row[] = [];
    for (const streams of STREAMS) {
      note(`${streams} streams`);
      const ms = await alternate(Object.keys(ports), ROUNDS, (name) =>
        reader.call("pull", { port: ports[name] ?? 0, streams, bytes: BYTES / 2 }),
      );
      const own = speed(ms["p2prc"] ?? [], BYTES / 2);
      for (const [name, each] of Object.entries(ms)) {
        const theirs = speed(each, BYTES / 2);
        rows.push({
          streams,
          through: name === "p2prc" ? name : `ssh -L, ${name.replace("@openssh.com", "")}`,
          "MB/s": theirs,
          "p2prc / this": own / theirs,
          target: name === "p2prc" ? "" : "> 1",
          verdict: name === "p2prc" ? "" : verdict(own > theirs),
        });
      }
    }
    return [{ title: "A TCP port forwarded over loopback: reader -> local port -> link -> service", rows }];
  },
};

export const stoppedReaders: Bench = {
  name: "stopped-readers",
  summary: "what readers that stop cost a link in memory, and whether others are held up",
  async run(note) {
    const rows: Row[] = [];
    note("none that stop");
    const free = await measureBeside(0);
    for (const streams of [1, 64]) {
      note(`${streams} readers that stop`);
      rows.push(rowOf(streams, { free, beside: await measureBeside(streams) }));
    }
    return [{ title: "Readers that stop on one link, each sent to without end", rows }] satisfies Table[];
  },
};

/** How long the senders push against readers that do not read. */
const PUSH_MS = 3_000;
const ECHOES = 300;
const LIMIT_MIB = 32;
/** Moved beside those that stop, several times: a quarter of a second each, and on a busy machine seconds. */
const BESIDE_BYTES = 128 * MB;

type Beside = Awaited<ReturnType<typeof measureBeside>>;

function rowOf(streams: number, { free, beside }: { readonly free: Beside; readonly beside: Beside }): Row {
  return {
    stopped: streams,
    "unread MiB": beside.held.bytes / MIB,
    reset: beside.held.reset,
    "reader + MiB": beside.reader / MIB,
    "sender + MiB": beside.sender / MIB,
    target: `<= ${LIMIT_MIB}`,
    verdict: verdict(Math.max(beside.reader, beside.sender) <= LIMIT_MIB * MIB),
    "other stream MB/s": beside.megabytesPerSecond,
    "with none MB/s": free.megabytesPerSecond,
    "echo p99 ms": quantile(beside.echoes, 0.99),
    "with none ms": quantile(free.echoes, 0.99),
  };
}

/** A fresh link each time: what was moved before leaves memory that would be taken up again unseen. */
async function measureBeside(stopped: number) {
  await using server = await Actor.start<NodePart>("node.ts");
  await using client = await Actor.start<NodePart>("node.ts");
  const end = await server.call("listen");
  await client.call("echo", { end, times: ECHOES }); // so that all code is loaded and compiled
  const before = { reader: await client.call("rss"), sender: await server.call("rss") };
  await client.call("hold", { end, streams: stopped });
  await new Promise((resolve) => setTimeout(resolve, PUSH_MS));
  const reader = (await client.call("rss")) - before.reader;
  const sender = (await server.call("rss")) - before.sender;
  const held = await client.call("held");
  const echoes = await client.call("echo", { end, times: ECHOES });
  const ms: number[] = [];
  for (let i = 0; i < 5; i++) ms.push(await client.call("pull", { end, streams: 1, bytes: BESIDE_BYTES }));
  return { reader, sender, held, echoes, megabytesPerSecond: speed(ms.slice(1), BESIDE_BYTES) };
}

function speed(ms: readonly number[], bytes = BYTES): number {
  return bytes / MB / (median(ms) / 1_000);
}

function mib(bytes: number | undefined): number | undefined {
  return bytes === undefined ? undefined : Math.round(bytes / MIB);
}
