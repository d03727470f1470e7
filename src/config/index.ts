/** config: flags, environment and file become one frozen Config, checked once. */
export type { Config, ConfigKey } from "./config.ts";
export { type ConfigSources, readConfig } from "./read-config.ts";
