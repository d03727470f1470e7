/** Why nodes were passed over, in as few lines as there are reasons. */

export interface PassedOver {
  readonly node: string;
  readonly why: string;
}

/** More names than these are counted. */
const MAX_NAMES = 5;

/** `attic, barn and 3 more: this node does not lend to you`, in the order in which the reasons came up. */
export function foldReasons(all: readonly PassedOver[]): readonly string[] {
  const nodes = new Map<string, string[]>();
  for (const { node, why } of all) nodes.set(why, [...(nodes.get(why) ?? []), node]);
  return [...nodes].map(([why, names]) => `${listed(names)}: ${why}`);
}

function listed(names: readonly string[]): string {
  if (names.length > MAX_NAMES) return `${names.slice(0, MAX_NAMES).join(", ")} and ${names.length - MAX_NAMES} more`;
  const [last = "", ...before] = names.toReversed();
  return before.length === 0 ? last : `${before.toReversed().join(", ")} and ${last}`;
}
