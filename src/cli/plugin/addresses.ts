/** Where what a plugin has started is visited: its ports are opened here, and its paths put behind them. */

import type { Client } from "../../client/index.ts";
import type { PluginOutcome, StoredPlugin, Target } from "../../plugin/index.ts";
import type { Io } from "../io.ts";

interface Done {
  readonly plugin: Pick<StoredPlugin, "ports" | "urls">;
  readonly targets: readonly Pick<Target, "id" | "name">[];
  /** In the order of the plugin's. */
  readonly ports: readonly number[];
  readonly outcome: Pick<PluginOutcome, "progress">;
}

/** By sandbox, on each where it came to its end. */
export async function openAddresses(
  client: Pick<Client, "openPort">,
  { plugin, targets, ports, outcome }: Done,
  { signal }: Pick<Io, "signal">,
): Promise<ReadonlyMap<string, readonly string[]>> {
  const addresses = new Map<string, string[]>();
  for (const { name, id } of targets) {
    if (outcome.progress.hosts.find(({ host }) => host === name)?.done !== true) continue;
    const urls: string[] = [];
    for (const { port, path = "/" } of plugin.urls) {
      const internal = ports[plugin.ports.findIndex((one) => one.name === port)];
      if (internal === undefined) continue;
      const { url, host, local } = await client.openPort(id, { internal }, signal);
      urls.push(withPath(url ?? `http://${host}:${local}/`, path));
    }
    addresses.set(name, urls);
  }
  return addresses;
}

/** The path is the plugin's, the rest is not its to say: what lets one in stands in the query. */
export function withPath(begin: string, path: string): string {
  const [, pathname = "/", query = "", fragment = ""] = /^([^?#]*)\??([^#]*)#?(.*)$/u.exec(path) ?? [];
  const url = new URL(begin);
  url.pathname = pathname;
  for (const [name, value] of new URLSearchParams(query)) url.searchParams.append(name, value);
  url.hash = fragment;
  return url.href;
}
