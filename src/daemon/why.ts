/**
 * How a node was reached, or why it was not: what was tried, which of it is in use, and of punching and relays a word in any case,
 * since whoever asks wants to know what else there might be.
 */

import type { Attempt, Dialable, Hindrance, Path, PathKind } from "../network/index.ts";
import type { Why } from "./contract.ts";

export interface WhyDeps {
  readonly attempts: (id: Dialable["id"]) => readonly Attempt[];
  readonly hindrances: (target: Dialable) => readonly Hindrance[];
  /** What new requests would take now. */
  readonly path: (id: Dialable["id"]) => Path | undefined;
  /** Whether it says that no UDP gets through to it. */
  readonly isUdpBlocked: (id: Dialable["id"]) => boolean;
  readonly nameOf: (id: Dialable["id"]) => string;
}

const roundabout = ["punched", "relayed"] as const;

export function whyOf(deps: WhyDeps, { name, ...target }: Dialable & { readonly name: string }): Why {
  const path = deps.path(target.id);
  const attempts = marked(deps.attempts(target.id), path);
  return {
    node: { id: target.id, name },
    ...(path === undefined ? {} : { path: shown(path, deps) }),
    attempts: [...attempts],
    untried: [...arrived(attempts, path), ...remarks(deps, { target, attempts, path })],
  };
}

function shown({ kind, remote, via }: Path, { nameOf }: WhyDeps): NonNullable<Why["path"]> {
  return { kind, remote, ...(via === undefined ? {} : { via: nameOf(via) }) };
}

/** The attempt that led to the path in use says so. */
function marked(attempts: readonly Attempt[], path: Path | undefined): readonly Attempt[] {
  const taken = attempts.findLastIndex((attempt) => path !== undefined && ledTo(attempt, path));
  const found = attempts[taken];
  return found === undefined ? attempts : attempts.with(taken, { ...found, reason: IN_USE });
}

const IN_USE = "in use";

/** What is tried by name or key says so, and the path says which address that was. */
function ledTo({ path: kind, address, outcome }: Attempt, path: Path): boolean {
  return outcome === "open" && kind === path.kind && (address === path.remote || !address.includes(":"));
}

/** Nothing that this node tried led to the path: the other end opened it. */
function arrived(attempts: readonly Attempt[], path: Path | undefined): Why["untried"] {
  if (path === undefined || attempts.some(({ reason }) => reason === IN_USE)) return [];
  return [{ path: path.kind, reason: `${IN_USE}: opened by the other end, or a while ago` }];
}

interface Tried {
  readonly target: Dialable;
  readonly attempts: readonly Attempt[];
  readonly path: Path | undefined;
}

function remarks(deps: WhyDeps, { target, attempts, path }: Tried): Why["untried"] {
  const hindrances = deps.hindrances(target);
  return roundabout.flatMap((kind) => {
    if (kind === path?.kind) return [];
    const reason = hindrances.find((one) => one.kind === kind)?.reason ?? theirFault(deps, { kind, target });
    const wasTried = attempts.some((attempt) => attempt.path === kind);
    if (reason !== undefined) return [{ path: kind, reason }];
    return wasTried ? [] : [{ path: kind, reason: whyNotYet(attempts, path) }];
  });
}

function theirFault(
  { isUdpBlocked }: WhyDeps,
  { kind, target }: { readonly kind: PathKind; readonly target: Dialable },
): string | undefined {
  return kind === "punched" && isUdpBlocked(target.id) ? "it says that no UDP gets through to it" : undefined;
}

function whyNotYet(attempts: readonly Attempt[], path: Path | undefined): string {
  if (path !== undefined) return `left for the ${path.kind} path`;
  return attempts.length === 0 ? "nothing was tried yet" : "its turn did not come";
}
