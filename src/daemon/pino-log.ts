/** The Log that rooms are given, with pino behind it. Secrets that slip into the facts are blanked out. */

import { pino } from "pino";
import type { Facts, Log } from "../base/index.ts";

const SECRETS = ["token", "seed", "secret", "privateKey", "invite", "link", "authorization", "proof", "password"];

export interface LineWriter {
  write(line: string): void;
}

export function pinoLog(writer: LineWriter, level: "debug" | "info"): Log {
  const logger = pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: SECRETS.flatMap((name) => [name, `*.${name}`]), censor: "(secret)" },
      serializers: { error: pino.stdSerializers.err },
    },
    writer,
  );
  return wrap(logger);
}

function wrap(logger: pino.Logger): Log {
  return {
    debug: (message, facts) => logger.debug(facts ?? {}, message),
    info: (message, facts) => logger.info(facts ?? {}, message),
    warn: (message, facts) => logger.warn(facts ?? {}, message),
    error: (message, facts) => logger.error(facts ?? {}, message),
    with: (facts: Facts) => wrap(logger.child(facts)),
  };
}
