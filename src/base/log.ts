/**
 * What a part may say about itself. The sentence is constant, the facts are fields, and
 * nothing secret goes in. pino stands behind it in `daemon/`.
 *
 * info = state changed, warn = a person should look soon, error = a defect, debug = the rest.
 */

export type Facts = Readonly<Record<string, unknown>>;

export interface Log {
  debug(message: string, facts?: Facts): void;
  info(message: string, facts?: Facts): void;
  warn(message: string, facts?: Facts): void;
  error(message: string, facts?: Facts): void;
  with(facts: Facts): Log;
}

export const silentLog: Log = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  with: () => silentLog,
};
