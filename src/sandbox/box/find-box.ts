/**
 * Which sandbox a person means by what they typed: its name, its id, the start of either, or `name@node`.
 * A whole name comes before all else, so that no new sandbox gets before one that somebody is used to type.
 */

import { cleanText, Failure } from "../../core/index.ts";
import type { BoxRow } from "./box-book.ts";

/** @param nodeName the name that the row's node has here @throws {Failure} not-found, ambiguous */
export function findBox(text: string, rows: readonly BoxRow[], nodeName: (row: BoxRow) => string): BoxRow {
  const wanted = text.trim().toLowerCase();
  const at = wanted.indexOf("@");
  const [name, node] = at < 0 ? [wanted, undefined] : [wanted.slice(0, at), wanted.slice(at + 1)];
  const there = rows.filter((row) => node === undefined || isNode(row, node, nodeName));
  if (name !== "") {
    for (const matches of [
      there.filter((row) => row.name === name || row.id === name),
      there.filter((row) => row.name.startsWith(name) || row.id.startsWith(name)),
    ]) {
      const [first, second] = matches;
      if (first !== undefined && second === undefined) return first;
      if (first !== undefined) throw ambiguous(text, matches, nodeName);
    }
  }
  throw new Failure("not-found", `you have no sandbox "${cleanText(text, 80)}"`, {
    hint: "`p2prc ps` lists those you have; one whose time was over is gone",
  });
}

function isNode(row: BoxRow, wanted: string, nodeName: (row: BoxRow) => string): boolean {
  return wanted !== "" && (nodeName(row).toLowerCase() === wanted || row.node.startsWith(wanted));
}

function ambiguous(text: string, matches: readonly BoxRow[], nodeName: (row: BoxRow) => string): Failure {
  const shown = matches.slice(0, 5).map((row) => `${row.name} on ${nodeName(row)} (${row.id})`);
  return new Failure("ambiguous", `"${cleanText(text, 80)}" may be ${shown.join(" or ")}`, {
    hint: "type more of the name or id, or the node as well, as in `name@node`",
  });
}
