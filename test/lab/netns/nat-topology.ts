/**
 * An internet in one line: `relay:public  attic:nat  (desk laptop):symmetric  (shed:nat barn:upnp):nat`.
 *
 * A word is a host and what stands between it and the internet; parentheses put several behind one router, also routers.
 * `@10.9.9` after a kind is the net inside (a /24), for houses that happen to use the same.
 */

/** What a router does; the rules are in nat-rules.ts. */
export const ROUTER_KINDS = [
  "nat", // a Linux masquerade: one outer port for all destinations, which alone may answer from the port they were sent to
  "fullcone", // the same outer port for all, and whoever knows it may send there
  "symmetric", // another outer port for each destination
  "udp-blocked", // an ordinary one through which no UDP passes
  "upnp", // an ordinary one that opens what is asked for by UPnP, NAT-PMP or PCP
  "ipv6-firewall", // IPv4 as an ordinary one; IPv6 without NAT, nothing in that was not asked for
  "upnp-ipv6", // the last two together: opens IPv6 pinholes too
] as const;

export type RouterKind = (typeof ROUTER_KINDS)[number];

export interface House {
  readonly kind: RouterKind;
  /** The first three numbers of the addresses inside. @default one that no other house has */
  readonly net?: string;
  readonly inside: readonly Place[];
}

/** A host by its name, or a house. */
export type Place = string | House;

/** The names of the hosts in a topology, as a type: a mistyped one does not compile. */
export type HostName<Text extends string> = string extends Text
  ? string
  : Text extends `${infer First} ${infer Rest}`
    ? NameIn<First> | HostName<Rest>
    : NameIn<Text>;
type NameIn<Word extends string> = Word extends `(${infer Rest}`
  ? NameIn<Rest>
  : Word extends `${infer Name})${string}` | `${infer Name}:${string}`
    ? NameIn<Name>
    : Word extends ""
      ? never
      : Word;

const TOKEN = /\(|\)(?::([a-z0-9-]+)(?:@([\d.]+))?)?|([a-z][a-z0-9-]*)(?::([a-z0-9-]+)(?:@([\d.]+))?)?|(\S)/g;

/** @throws an Error that quotes what is wrong */
export function parseNatTopology(text: string): readonly Place[] {
  const stack: Place[][] = [[]];
  const names = new Set<string>();
  for (const [token, groupKind, groupNet, name, kind, net, junk] of text.matchAll(TOKEN)) {
    const here = stack.at(-1) ?? [];
    if (junk !== undefined) throw new Error(`what is "${junk}" in "${text}"?`);
    if (token === "(") stack.push([]);
    else if (name !== undefined) {
      if (names.has(name)) throw new Error(`two hosts are called "${name}"`);
      names.add(name);
      here.push(placeOf({ name, kind, net, isInside: stack.length > 1 }));
    } else {
      stack.pop();
      const around = stack.at(-1);
      if (around === undefined) throw new Error(`a ")" too many in "${text}"`);
      around.push(houseOf(here, groupKind ?? "", groupNet));
    }
  }
  if (stack.length > 1) throw new Error(`a ")" is missing in "${text}"`);
  return stack[0] ?? [];
}

interface Word {
  readonly name: string;
  readonly kind: string | undefined;
  readonly net: string | undefined;
  readonly isInside: boolean;
}

function placeOf({ name, kind, net, isInside }: Word): Place {
  if (kind === "public" && !isInside) return name;
  if (kind === undefined && isInside) return name;
  if (kind === undefined) throw new Error(`"${name}" lacks a kind: public, cgnat, ${ROUTER_KINDS.join(", ")}`);
  return houseOf([name], kind, net);
}

function houseOf(inside: readonly Place[], kind: string, net: string | undefined): House {
  const own = net === undefined ? {} : { net };
  // A home behind the carrier's own NAT: two in a row.
  if (kind === "cgnat") return { kind: "nat", inside: [{ kind: "nat", inside, ...own }] };
  const known = ROUTER_KINDS.find((one) => one === kind);
  if (known === undefined) throw new Error(`no router is "${kind}": cgnat, ${ROUTER_KINDS.join(", ")}`);
  return { kind: known, inside, ...own };
}

/** The host that a house is called after. */
export function firstHost({ inside: [first] }: House): string {
  if (first === undefined) throw new Error("nobody is in a house");
  return typeof first === "string" ? first : firstHost(first);
}

/** How many routers are one behind the other. */
export function depthOf(place: Place): number {
  return typeof place === "string" ? 0 : 1 + Math.max(0, ...place.inside.map(depthOf));
}
