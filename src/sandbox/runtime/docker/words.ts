/** Names and labels by which what we made is found again in an engine, by us, by another daemon of this node, or by a person. */

import { HELPER_PATH } from "../../helper/open-helper.ts";
import type { SandboxId } from "../sandbox-id.ts";

export const labels = {
  /** The node that keeps it: two daemons may share an engine. */
  keeper: "p2prc.keeper",
  role: "p2prc.role",
  id: "p2prc.id",
  /** The labels of its spec, as JSON: an image may have labels of its own. */
  spec: "p2prc.labels",
  /** What was asked, where the engine does not tell: JSON of `Asked`. */
  asked: "p2prc.asked",
} as const;

export type Part = "sandbox" | "companion" | "helper" | "network";

/** What must be known of a sandbox that an earlier daemon made. */
export interface Asked {
  readonly diskBytes: number;
}

export const containerName = (id: SandboxId): string => `p2prc-${id}`;
export const companionName = (id: SandboxId): string => `p2prc-net-${id}`;
export const NETWORK_NAME = "p2prc";

const ENGINE_PATH = `${HELPER_PATH}/engine`;

/** The start of a command line that runs a program of ours in any image: with our loader and our libraries. */
export const ourProgram = (name: string): readonly string[] => [
  `${ENGINE_PATH}/lib/ld.so`,
  "--library-path",
  `${ENGINE_PATH}/lib`,
  `${ENGINE_PATH}/bin/${name}`,
];

/** The unprivileged user of `strict`: the same as in the default image. */
export const GUEST_UID = 10_001;
