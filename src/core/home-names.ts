/**
 * The names of all that P2PRC keeps in a home, in one list: what `uninstall` may remove. Whatever
 * else lies there is somebody's own.
 */

const NAMES: ReadonlySet<string> = new Set([
  // store
  "key",
  "certificate.pem",
  "config.json",
  "name",
  "pid",
  "token",
  "socket",
  "run",
  // sandbox
  "helper",
  "images",
  "pushes",
  "sandboxes",
  "ssh_config",
  "ssh_key",
  "ssh_known_hosts",
  // network
  "dht_nodes.json",
  // plugin
  "plugins",
  "plugin-runs",
  // client and cli
  "cache",
  "daemon.stderr",
  "installed.json",
  "installed.json.new",
  // job
  "jobs",
]);

/** As in `state.sqlite.broken-2026-01-31T12-00-00-000Z-wal`: what was moved aside has the time in its name. */
const PATTERNS: readonly RegExp[] = [
  /^(?:state|lock)\.sqlite(?:\.broken-[\dTZ-]+?)?(?:-wal|-shm|-journal)?$/,
  /^ip_table\.json(?:\.foreign-[\dTZ-]+)?$/,
  /^log(?:\.[1-9])?$/,
];

/** What is written and has not got its name yet. */
const TEMPORARY = /^\.(.+)\.[0-9a-f]{12}\.tmp$/;

/** Whether P2PRC writes a file or a folder of this name in its home. */
export function isHomeName(name: string): boolean {
  const meant = TEMPORARY.exec(name)?.[1] ?? name;
  return NAMES.has(meant) || PATTERNS.some((pattern) => pattern.test(meant));
}
