/**
 * What a person may choose, and where: a flag, an environment variable, or a key of `config.json`.
 *
 * What nobody chose is absent: defaults live in the rooms that use the values.
 */

import { type Static, Type } from "typebox";

const Choices = {
  /** What this node calls itself. */
  name: Type.String({ minLength: 1, maxLength: 32 }),
  /** TCP port; 0: any free one. */
  port: Type.Integer({ minimum: 0, maximum: 65_535 }),
  /** Addresses to listen on. */
  listen: Type.Array(Type.String({ maxLength: 64 }), { minItems: 1, maxItems: 16 }),
  /** Networks whose addresses may be dialled though they are not public, as in `100.64.0.0/10`. */
  allowNetworks: Type.Array(Type.String({ maxLength: 64 }), { maxItems: 64 }),
  /** Whether to look for nodes on the local network, and answer them there. */
  lan: Type.Boolean(),
  /** Whether to ask routers to open ports while it lends. */
  map: Type.Boolean(),
  /** Whether to punch through NATs, and to help others do so while it lends. */
  punch: Type.Boolean(),
  /** Of a closed network: only nodes that have the same one punch through to each other. Long enough not to be guessed. */
  networkSecret: Type.String({ minLength: 16, maxLength: 128 }),
  /** Whether to lend from the start. */
  lends: Type.Boolean(),
  /** The owner's free text, for everybody to read. */
  info: Type.String({ maxLength: 200 }),
  /** What makes sandboxes. Absent: the one with the best walls. */
  runtime: Type.Enum(["docker", "podman", "bubblewrap"]),
  /** Whose links this node passes on while it lends. */
  relay: Type.Enum(["friends", "anyone", "no"]),
  /** Words that others may choose nodes by, as in `site=attic`. */
  labels: Type.Array(Type.String({ pattern: "^[a-z0-9][a-z0-9=._-]{0,31}$" }), { maxItems: 8 }),
};

export const ConfigSchema = Type.Object(
  {
    name: Type.Optional(Choices.name),
    port: Type.Optional(Choices.port),
    listen: Type.Optional(Choices.listen),
    allowNetworks: Type.Optional(Choices.allowNetworks),
    lan: Type.Optional(Choices.lan),
    map: Type.Optional(Choices.map),
    punch: Type.Optional(Choices.punch),
    networkSecret: Type.Optional(Choices.networkSecret),
    lends: Type.Optional(Choices.lends),
    info: Type.Optional(Choices.info),
    labels: Type.Optional(Choices.labels),
    runtime: Type.Optional(Choices.runtime),
    relay: Type.Optional(Choices.relay),
  },
  { additionalProperties: false },
);

type Mutable = Static<typeof ConfigSchema>;
export type Config = {
  readonly [K in keyof Mutable]: Mutable[K] extends string[] | undefined ? readonly string[] : Mutable[K];
};
export type ConfigKey = keyof Config;

export const configKeys = Object.keys(Choices) as readonly ConfigKey[];

interface Spelling {
  readonly flag: string;
  readonly variable: string;
  /** How the text of the variable is read. */
  readonly type: "text" | "number" | "yes or no" | "list";
}

export const spellings: { readonly [K in ConfigKey]: Spelling } = {
  name: { flag: "--name", variable: "P2PRC_NAME", type: "text" },
  port: { flag: "--port", variable: "P2PRC_PORT", type: "number" },
  listen: { flag: "--listen", variable: "P2PRC_LISTEN", type: "list" },
  allowNetworks: { flag: "--allow-network", variable: "P2PRC_ALLOW_NETWORKS", type: "list" },
  lan: { flag: "--no-lan", variable: "P2PRC_LAN", type: "yes or no" },
  map: { flag: "--no-map", variable: "P2PRC_MAP", type: "yes or no" },
  punch: { flag: "--no-punch", variable: "P2PRC_PUNCH", type: "yes or no" },
  // No flag: everybody on this machine can read the words that a program was started with.
  networkSecret: { flag: "networkSecret", variable: "P2PRC_NETWORK_SECRET", type: "text" },
  lends: { flag: "-s", variable: "P2PRC_LENDS", type: "yes or no" },
  info: { flag: "--info", variable: "P2PRC_INFO", type: "text" },
  labels: { flag: "--label", variable: "P2PRC_LABELS", type: "list" },
  runtime: { flag: "--runtime", variable: "P2PRC_RUNTIME", type: "text" },
  relay: { flag: "--relay", variable: "P2PRC_RELAY", type: "text" },
};
