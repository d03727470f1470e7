/** Numbers for Prometheus, read when they are asked for: nothing is counted by a timer. */

import { Counter, Gauge, Registry } from "prom-client";

/** What is true now. */
export interface Gauges {
  readonly links: Readonly<Record<string, number>>;
  readonly callers: number;
  readonly nodes: Readonly<Record<string, number>>;
  readonly lends: boolean;
  readonly guests: number;
  readonly junkRecords: number;
  readonly relay: {
    readonly counts: Readonly<Record<"streams" | "opened" | "bytes" | "refused" | "overQuota", number>>;
    readonly registered: number;
    readonly via: readonly unknown[];
  };
  readonly punch: Readonly<Record<"endpoints" | "nodesKnown" | "pending" | "connections", number>>;
}

interface Row {
  readonly name: string;
  readonly help: string;
  /** What tells its values apart, where there are several. */
  readonly label?: string;
  readonly read: () => number | Readonly<Record<string, number>>;
}

export class Metrics {
  readonly #registry = new Registry();
  readonly #requests: Counter<"route" | "role" | "status">;
  readonly #gauges: () => Gauges;

  constructor(gauges: () => Gauges) {
    this.#gauges = gauges;
    const registers = [this.#registry];
    this.#requests = new Counter({
      name: "p2prc_requests_total",
      help: "Requests answered.",
      labelNames: ["route", "role", "status"],
      registers,
    });
    for (const row of this.#rows()) this.#gauge(row);
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** @param route the pattern, never the path itself: a stranger could make the labels grow */
  answered({ route, role, status }: { readonly route: string; readonly role: string; readonly status: number }): void {
    this.#requests.inc({ route, role, status });
  }

  text(): Promise<string> {
    return this.#registry.metrics();
  }

  #rows(): readonly Row[] {
    const now = this.#gauges;
    return [
      { name: "p2prc_links", help: "Links on which this node asks, by path.", label: "path", read: () => now().links },
      { name: "p2prc_nodes", help: "Rows of the IP table, by state.", label: "state", read: () => now().nodes },
      { name: "p2prc_callers", help: "Links on which others ask here.", read: () => now().callers },
      { name: "p2prc_guests", help: "Grants that are valid now.", read: () => now().guests },
      { name: "p2prc_lends", help: "1 while this node lends.", read: () => Number(now().lends) },
      {
        name: "p2prc_junk_records",
        help: "Records dropped since the start: not valid, or not signed by their key.",
        read: () => now().junkRecords,
      },
      { name: "p2prc_relay_streams", help: "Streams that are passed on now.", read: () => now().relay.counts.streams },
      {
        name: "p2prc_relay_streams_opened",
        help: "Streams that were passed on since the start.",
        read: () => now().relay.counts.opened,
      },
      {
        name: "p2prc_relay_bytes",
        help: "Passed on since the start, both ways.",
        read: () => now().relay.counts.bytes,
      },
      {
        name: "p2prc_relay_refused",
        help: "Streams not passed on since the start, by reason.",
        label: "reason",
        read: () => {
          const { refused, overQuota } = now().relay.counts;
          return { refused, over_quota: overQuota };
        },
      },
      { name: "p2prc_relay_registered", help: "Nodes reached through this one.", read: () => now().relay.registered },
      { name: "p2prc_relays", help: "Nodes through which this one is reached.", read: () => now().relay.via.length },
      { name: "p2prc_dht_endpoints", help: "Ends of the DHT that are open here.", read: () => now().punch.endpoints },
      { name: "p2prc_dht_nodes", help: "Nodes of the DHT that answered lately.", read: () => now().punch.nodesKnown },
      { name: "p2prc_punch_pending", help: "Handshakes of others under way.", read: () => now().punch.pending },
      { name: "p2prc_punched", help: "Connections that others punched.", read: () => now().punch.connections },
      { name: "process_resident_memory_bytes", help: "Resident memory.", read: () => process.memoryUsage.rss() },
      { name: "process_cpu_seconds_total", help: "CPU time since the start.", read: cpuSeconds },
    ];
  }

  #gauge({ name, help, label, read }: Row): void {
    const gauge = new Gauge({
      name,
      help,
      labelNames: label === undefined ? [] : [label],
      registers: [this.#registry],
      collect() {
        const value = read();
        if (typeof value === "number") this.set(value);
        else for (const [key, each] of Object.entries(value)) this.set({ [label ?? ""]: key }, each);
      },
    });
    void gauge;
  }
}

function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}
