/** plugin: instructions that are written once and run on many sandboxes: Ansible playbooks, kept, checked and confined. */
export type { Listed, Origin, Plugin, StoredPlugin } from "./contract.ts";
export { PluginManifest } from "./contract.ts";
export { differenceOf } from "./difference.ts";
export type { PlaybookEvent } from "./events.ts";
export { goOn } from "./going-on.ts";
export {
  BRING_PYTHON,
  canBringPython,
  type Inside,
  LOOK_INSIDE,
  needsOf,
  readInside,
  type Target,
  type Unmet,
  unmetNeeds,
} from "./needs.ts";
export { parameterValues, type Values } from "./parameters.ts";
export { type Fetched, PluginStore } from "./plugin-store.ts";
export { type Cell, type CellState, type HostProgress, Progress } from "./progress.ts";
export { type Run, RunBook } from "./run-book.ts";
export { findAnsible, isOwn, type PluginOutcome, runPlugin, type RunPluginDeps } from "./run-plugin.ts";
export { portsAskedFor } from "./template.ts";
