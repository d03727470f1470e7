/**
 * The first P2PRC's own words in a playbook: `{{index . N}}` is the number of the N-th port. Nothing else in it is ours:
 * Ansible's `{{ … }}` stays as it is.
 */

import { Failure } from "../core/index.ts";

const WORD = /\{\{-?\s*index\s+\.\s+(\d{1,4})\s*-?\}\}/gu;

/** How many ports a playbook asks for. */
export function portsAskedFor(playbook: string): number {
  return Math.max(0, ...Array.from(playbook.matchAll(WORD), ([, index]) => Number(index) + 1));
}

/** @throws {Failure} bad-argument: it asks for more than there are */
export function withPorts(playbook: string, ports: readonly number[]): string {
  return playbook.replaceAll(WORD, (word, index: string) => {
    const port = ports[Number(index)];
    if (port !== undefined) return String(port);
    throw new Failure(
      "bad-argument",
      `the playbook asks for port ${index} in "${word}", and the plugin has ${ports.length}`,
      {
        hint: `say in ports.json how many it has: {"NumOfPorts": ${Number(index) + 1}}`,
      },
    );
  });
}
