/**
 * Every failure a person may meet, in one table.
 *
 * `status` is what the REST API answers, `exit` is what the CLI exits with.
 * A failure that is not in this table is a defect: 500, exit code 70.
 *
 * Exit codes: 2 the words are wrong, 3 no such thing, 4 cannot be reached, 5 the daemon or this
 * machine, 6 not allowed, 7 too much or too often, 8 it is there already or somebody else's.
 */
export const failures = {
  "bad-argument": { status: 400, exit: 2 },
  "bad-node-id": { status: 400, exit: 2 },
  "bad-address": { status: 400, exit: 2 },
  "bad-name": { status: 400, exit: 2 },
  "bad-invite": { status: 400, exit: 2 },
  "bad-record": { status: 400, exit: 2 },
  "bad-config": { status: 400, exit: 2 },
  "bad-image": { status: 400, exit: 2 },
  "bad-reply": { status: 502, exit: 4 },
  "unknown-node": { status: 404, exit: 3 },
  "not-found": { status: 404, exit: 3 },
  ambiguous: { status: 409, exit: 3 },
  unreachable: { status: 504, exit: 4 },
  "wrong-key": { status: 502, exit: 4 },
  "link-lost": { status: 502, exit: 4 },
  "timed-out": { status: 504, exit: 4 },
  "daemon-not-running": { status: 503, exit: 5 },
  "daemon-failed": { status: 503, exit: 5 },
  "version-differs": { status: 503, exit: 5 },
  "home-in-use": { status: 503, exit: 5 },
  "home-unusable": { status: 503, exit: 5 },
  "port-in-use": { status: 503, exit: 5 },
  "disk-full": { status: 507, exit: 5 },
  "runtime-failed": { status: 503, exit: 5 },
  "not-supported": { status: 501, exit: 5 },
  "not-allowed": { status: 403, exit: 6 },
  "invite-refused": { status: 403, exit: 6 },
  "too-large": { status: 413, exit: 7 },
  "too-often": { status: 429, exit: 7 },
  busy: { status: 503, exit: 7 },
  conflict: { status: 409, exit: 8 },
} as const satisfies Record<string, { status: number; exit: number }>;

export type FailureCode = keyof typeof failures;

export interface FailureOptions {
  /** What the person can do about it. One line, imperative, no full stop. */
  readonly hint?: string | undefined;
  readonly cause?: unknown;
}

export class Failure extends Error {
  static {
    Failure.prototype.name = "Failure";
  }

  readonly code: FailureCode;
  /** What the person can do about it. One line, imperative, no full stop. */
  readonly hint: string | undefined;

  /** @param message lower case, no full stop, quotes the offending input */
  constructor(code: FailureCode, message: string, options: FailureOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.hint = options.hint;
  }
}

export function isFailureCode(text: string): text is FailureCode {
  return Object.hasOwn(failures, text);
}
