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
    this.#gauge("p2prc_links", "Links on which this node asks, by path.", "path", () => this.#gauges().links);
    this.#gauge("p2prc_nodes", "Rows of the IP table, by state.", "state", () => this.#gauges().nodes);
    this.#gauge("p2prc_callers", "Links on which others ask here.", undefined, () => this.#gauges().callers);
    this.#gauge("p2prc_guests", "Grants that are valid now.", undefined, () => this.#gauges().guests);
    this.#gauge("p2prc_lends", "1 while this node lends.", undefined, () => Number(this.#gauges().lends));
    this.#gauge(
      "p2prc_junk_records",
      "Records dropped since the start: not valid, or not signed by their key.",
      undefined,
      () => this.#gauges().junkRecords,
    );
    this.#gauge("process_resident_memory_bytes", "Resident memory.", undefined, () => process.memoryUsage.rss());
    this.#gauge("process_cpu_seconds_total", "CPU time since the start.", undefined, () => {
      const { user, system } = process.cpuUsage();
      return (user + system) / 1e6;
    });
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

  // oxlint-disable-next-line max-params -- a row of a table
  #gauge(
    name: string,
    help: string,
    label: string | undefined,
    read: () => number | Readonly<Record<string, number>>,
  ): void {
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
