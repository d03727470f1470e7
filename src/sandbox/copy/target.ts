/**
 * Where a copy goes, by the rules of `scp -r` and `docker cp`:
 *
 *   target is a folder      into it, under the name of the source; what is there already is merged or replaced
 *   target is not there     it becomes the target, whose parent must be there; with a slash at its end only a folder does
 *   target is a file        it is replaced by a file, and refuses a folder
 *   source is `folder/.`    what is in the folder goes into the target, which is made where it is missing
 */

import { Failure } from "../../core/light.ts";
import type { FileFacts } from "../resident/file-range.ts";

export interface Target {
  readonly path: string;
  /** `new/`: meant to be a folder. */
  readonly slash: boolean;
}

export interface Source {
  readonly kind: "file" | "folder";
  /** Undefined: what is in it, not itself. */
  readonly name: string | undefined;
}

/** The side that is written to. */
export interface TargetSide {
  /** Undefined: nothing is there. With `follow` of what a link leads to. */
  look(path: string, options: { readonly follow: boolean }): Promise<FileFacts["kind"] | undefined>;
  join(path: string, name: string): string;
  parent(path: string): string;
  /** For a message. */
  show(path: string): string;
}

/** @throws {Failure} not-found, conflict, bad-argument */
export async function findTarget(side: TargetSide, target: Target, source: Source): Promise<string> {
  const there = await side.look(target.path, { follow: true });
  if (there === "folder") return await inside(side, target, source);
  if (there === undefined) return await anew(side, target, source);
  if (there === "file" && source.kind === "file" && !target.slash) return target.path;
  const words = source.kind === "folder" || target.slash ? "is no folder" : "is no file";
  throw new Failure("conflict", `${side.show(target.path)} is there already and ${words}`, {
    hint: "name another target",
  });
}

async function inside(side: TargetSide, { path }: Target, { kind, name }: Source): Promise<string> {
  if (name === undefined) return path;
  const final = side.join(path, name);
  const there = await side.look(final, { follow: false });
  if (there === undefined || there === kind || (there === "link" && kind === "file")) return final; // a link is replaced
  const words = there === "folder" ? "a folder" : there === "link" ? "a link, and links are not followed" : "no folder";
  throw new Failure("conflict", `${side.show(final)} is there already and is ${words}`, {
    hint: "remove it, or name another target",
  });
}

async function anew(side: TargetSide, { path, slash }: Target, { kind }: Source): Promise<string> {
  if (slash && kind === "file")
    throw new Failure("not-found", `no such folder: ${side.show(path)}`, {
      hint: "make it first, or leave the slash out",
    });
  const parent = side.parent(path);
  const above = await side.look(parent, { follow: true });
  if (above === "folder") return path;
  if (above === undefined)
    throw new Failure("not-found", `no such folder: ${side.show(parent)}`, { hint: "make it first" });
  throw new Failure("conflict", `${side.show(parent)} is no folder`, { hint: "name another target" });
}
