/**
 * The DHT nodes that were known last, kept in the home: with them the network is found again when all that a person
 * was told of is gone. They are only addresses to ask.
 */

import { readFile } from "node:fs/promises";
import { isIPv4 } from "node:net";
import { Type } from "typebox";
import { Compile } from "typebox/compile";
import { Failure } from "../../core/index.ts";
import { writeFileAtomic } from "../../store/index.ts";
import type { Address } from "./engine.ts";

/** Three times what a query asks at first. */
const MAX_NODES = 64;
const NodeList = Type.Array(
  Type.Object({ host: Type.String({ maxLength: 15 }), port: Type.Integer({ minimum: 1, maximum: 65_535 }) }),
  { maxItems: MAX_NODES },
);
const checkNodeList = Compile(NodeList);

/** Empty where there is none, or a damaged one: it is only a help. */
export async function readNodeList(path: string): Promise<readonly Address[]> {
  try {
    const value: unknown = JSON.parse(await readFile(path, "utf8"));
    return checkNodeList.Check(value) ? value.filter(({ host }) => isIPv4(host)) : [];
  } catch (error) {
    if (error instanceof SyntaxError || (error as NodeJS.ErrnoException).code !== undefined) return [];
    throw error;
  }
}

/** @returns whether there was room for it */
export async function writeNodeList(path: string, nodes: readonly Address[]): Promise<boolean> {
  const few = nodes.slice(0, MAX_NODES).map(({ host, port }) => ({ host, port }));
  try {
    await writeFileAtomic(path, `${JSON.stringify(few)}\n`);
    return true;
  } catch (error) {
    if (error instanceof Failure) return false; // a full disk: there is another time
    throw error;
  }
}
