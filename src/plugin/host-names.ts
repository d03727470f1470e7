/** What a sandbox is called in the inventory: as its person calls it, but for the few names that mean something to Ansible. */

/** Its own two groups, and the machine that it runs on. */
const ANSIBLE_WORDS = new Set(["all", "ungrouped", "localhost"]);
/** No name of a sandbox has a dot. */
const APART = ".p2prc";

export function hostOf(name: string): string {
  return ANSIBLE_WORDS.has(name) ? `${name}${APART}` : name;
}

/** The way back. Undefined: it is no sandbox, but this machine. */
export function sandboxOf(host: string): string | undefined {
  if (ANSIBLE_WORDS.has(host)) return undefined;
  return host.endsWith(APART) ? host.slice(0, -APART.length) : host;
}
