/**
 * What a plugin says of itself: `plugin.yaml` or `plugin.json`. Published as docs/plugin.schema.json by tools/plugin-schema.ts.
 *
 * The first P2PRC's form has no such file: `site.yml`, `description.txt`, and `ports.json` with NumOfPorts.
 */

import { type Static, Type } from "typebox";

const closed = { additionalProperties: false } as const;
/** A variable of Ansible. */
const VARIABLE = "^(?!ansible_|p2prc_)[a-z_][a-z0-9_]{0,63}$";
const PortName = Type.String({
  pattern: "^[a-z0-9]([a-z0-9_-]{0,30}[a-z0-9])?$",
  description: "What the port is for.",
});

export const Parameter = Type.Object(
  {
    type: Type.Enum(["string", "integer", "number", "boolean"], { description: "What `-p name=value` is read as." }),
    description: Type.Optional(Type.String({ maxLength: 500 })),
    default: Type.Optional(Type.Union([Type.String({ maxLength: 65_536 }), Type.Number(), Type.Boolean()])),
    choices: Type.Optional(
      Type.Array(Type.Union([Type.String({ maxLength: 500 }), Type.Number()]), { minItems: 1, maxItems: 100 }),
    ),
  },
  { ...closed, description: "Without a default it has to be given." },
);
export type Parameter = Static<typeof Parameter>;

export const Needs = Type.Object(
  {
    cpus: Type.Optional(Type.Number({ exclusiveMinimum: 0, maximum: 65_536 })),
    memory: Type.Optional(Type.String({ pattern: "^[0-9]+([.][0-9]+)?[KMGT]i?B?$", description: "As in 4G." })),
    gpus: Type.Optional(Type.Integer({ minimum: 0, maximum: 64 })),
    network: Type.Optional(Type.Enum(["none", "internet"])),
    apt: Type.Optional(Type.Boolean({ description: "Installs packages: root in an image of its own, with apt." })),
  },
  { ...closed, description: "What a sandbox must have; looked at before the first task." },
);
export type Needs = Static<typeof Needs>;

export const PluginPort = Type.Object(
  {
    name: PortName,
    port: Type.Optional(Type.Integer({ minimum: 1, maximum: 65_535, description: "In the sandbox. Absent: any." })),
  },
  { ...closed, description: "The playbook has its number as p2prc_ports.<name>." },
);
export type PluginPort = Static<typeof PluginPort>;

export const PluginManifest = Type.Object(
  {
    $schema: Type.Optional(Type.String({ maxLength: 500 })),
    name: Type.Optional(Type.String({ pattern: "^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$" })),
    description: Type.String({ maxLength: 2_000 }),
    playbook: Type.Optional(
      Type.String({
        pattern: "^[A-Za-z0-9_][A-Za-z0-9_.-]{0,100}$",
        description: "A file beside this one.",
        default: "site.yml",
      }),
    ),
    parameters: Type.Optional(
      Type.Record(Type.String({ pattern: VARIABLE }), Parameter, { ...closed, maxProperties: 100 }),
    ),
    ports: Type.Optional(Type.Array(PluginPort, { maxItems: 100 })),
    needs: Type.Optional(Needs),
    urls: Type.Optional(
      Type.Array(
        Type.Object(
          { port: PortName, path: Type.Optional(Type.String({ pattern: "^/[!-~]{0,500}$" })) },
          { ...closed, description: "Shown when it is done." },
        ),
        { maxItems: 20 },
      ),
    ),
  },
  { ...closed, title: "A plugin of P2PRC: plugin.yaml or plugin.json" },
);
export type PluginManifest = Static<typeof PluginManifest>;

/** A plugin, whichever form it has. */
export interface Plugin {
  readonly form: "seed" | "manifest";
  readonly name: string | undefined;
  readonly description: string;
  /** A file in its folder. */
  readonly playbook: string;
  readonly parameters: Readonly<Record<string, Parameter>>;
  readonly ports: readonly PluginPort[];
  readonly needs: Needs;
  readonly urls: readonly { readonly port: string; readonly path?: string }[];
}

/** Where a plugin came from. One of a folder is the person's own. */
export type Origin =
  | { readonly kind: "folder" | "tar"; readonly place: string }
  | { readonly kind: "git"; readonly place: string; readonly commit: string };

/** A plugin in the store. */
export interface StoredPlugin extends Plugin {
  readonly name: string;
  readonly origin: Origin;
  /** SHA-256 over all of its files and their names. */
  readonly digest: string;
  /** Wall time in milliseconds since 1970. */
  readonly added: number;
  /** The digest that the person has agreed to run. */
  readonly agreed?: string;
}

/** What is in the store, also what cannot be read. */
export type Listed =
  | { readonly name: string; readonly plugin: StoredPlugin }
  | { readonly name: string; readonly problem: string };
