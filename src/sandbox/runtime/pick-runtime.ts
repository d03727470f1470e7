/** Which of the runtimes on this machine makes the sandboxes: the one with the best walls; of equals, the first. */

import { type Log, isAbort } from "../../base/index.ts";
import { Failure } from "../../core/index.ts";
import type { Runtime, RuntimeFacts, RuntimeKind, Walls } from "./runtime.ts";

export interface RuntimeCandidate {
  readonly kind: RuntimeKind;
  /** @throws {Failure} not-supported: it is not there, or cannot be used */
  open(signal: AbortSignal): Promise<Runtime>;
}

export interface Picked {
  /** Undefined where none can be had. */
  readonly runtime: Runtime | undefined;
  /** Why the others were not chosen, in whole sentences. */
  readonly passedOver: readonly string[];
}

/** Those without which lending to others is refused count most; then what keeps root inside; then what is convenient. */
const POINTS: { readonly [K in Exclude<keyof Walls, "diskQuota">]: number } = {
  memoryLimit: 100,
  pidsLimit: 100,
  networkFilter: 100,
  seccomp: 100,
  userNamespace: 50,
  cpuLimit: 10,
  uidRange: 5,
};
const QUOTA_POINTS = { engine: 4, watched: 2, none: 0 };
/** Any image, by its name. */
const REGISTRY_POINTS = 1;

/** @param candidates the quicker ones first */
export async function pickRuntime(
  candidates: readonly RuntimeCandidate[],
  log: Log,
  signal: AbortSignal,
): Promise<Picked> {
  const passedOver: string[] = [];
  const opened: { readonly runtime: Runtime; readonly order: number }[] = [];
  await Promise.all(
    candidates.map(async (candidate, order) => {
      try {
        opened.push({ runtime: await candidate.open(signal), order });
      } catch (error) {
        if (isAbort(error, signal)) throw error;
        const { kind } = candidate;
        const why = error instanceof Failure ? withHint(error) : String(error);
        if (!(error instanceof Failure)) log.error("a runtime could not be opened", { kind, error });
        passedOver.push(`${kind}: ${why}`);
      }
    }),
  );
  const points = ({ runtime }: { readonly runtime: Runtime }) => score(runtime.facts);
  const [best, ...others] = opened.sort((a, b) => points(b) - points(a) || a.order - b.order);
  for (const { runtime } of others) {
    passedOver.push(`${runtime.facts.kind}: ${best?.runtime.facts.kind} was preferred`);
    await runtime[Symbol.asyncDispose]();
  }
  return { runtime: best?.runtime, passedOver };
}

function score({ walls, images }: RuntimeFacts): number {
  const held = Object.entries(POINTS).filter(([wall]) => walls[wall as keyof typeof POINTS]);
  const points = held.reduce((sum, [, worth]) => sum + worth, 0);
  return points + QUOTA_POINTS[walls.diskQuota] + (images === "registry" ? REGISTRY_POINTS : 0);
}

function withHint({ message, hint }: Failure): string {
  return hint === undefined ? message : `${message}: ${hint}`;
}
