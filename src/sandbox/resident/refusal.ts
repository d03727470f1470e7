/**
 * What the resident answers where it will not, or cannot, do what was asked: a code and words of the table that all of
 * P2PRC uses (core/errors.ts, which is not there inside), sent as a header.
 */

import type { ServerHttp2Stream } from "node:http2";
import { ERROR_HEADER } from "./protocol.ts";

const statuses = {
  "bad-argument": 400,
  "not-allowed": 403,
  "not-found": 404,
  conflict: 409,
  "too-large": 413,
  "not-supported": 501,
  busy: 503,
  "timed-out": 504,
  unreachable: 504,
  "disk-full": 507,
} as const;
export type RefusalCode = keyof typeof statuses;

/** Header lists are bounded; a path in a message may be long. */
const MAX_MESSAGE_LENGTH = 500;

export class Refusal extends Error {
  static {
    Refusal.prototype.name = "Refusal";
  }
  readonly code: RefusalCode;
  readonly hint: string | undefined;

  constructor(code: RefusalCode, message: string, hint?: string) {
    super(message);
    this.code = code;
    this.hint = hint;
  }
}

/** The other end went away before all was said: to be asked for again, from where it was. */
export class CutShort extends Refusal {
  static {
    CutShort.prototype.name = "CutShort";
  }

  constructor(message: string) {
    super("conflict", message);
  }
}

export function refuse(stream: ServerHttp2Stream, refusal: Refusal): void {
  if (stream.destroyed || stream.headersSent) return;
  const json = escaped(JSON.stringify(refusalReply(refusal)));
  stream.respond({ ":status": statuses[refusal.code], [ERROR_HEADER]: json }, { endStream: true });
}

/** The body of every answer that is not a success. */
export function refusalReply({ code, message, hint }: Refusal): object {
  return { error: { code, message: message.slice(0, MAX_MESSAGE_LENGTH), ...(hint === undefined ? {} : { hint }) } };
}

/** What a system call said, in words for a person. */
export function refusalFrom(error: unknown, doing: string): Refusal {
  if (error instanceof Refusal) return error;
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  const [word, why] = systemErrors.get(code) ?? ["not-supported", error instanceof Error ? error.message : code];
  return new Refusal(word, `${doing}: ${why}`);
}

const systemErrors = new Map<string, readonly [RefusalCode, string]>([
  ["ENOENT", ["not-found", "no such file or folder"]],
  ["EACCES", ["not-allowed", "permission denied"]],
  ["EPERM", ["not-allowed", "not permitted"]],
  ["EROFS", ["not-allowed", "it is read-only"]],
  ["ENOTDIR", ["bad-argument", "not a folder"]],
  ["EISDIR", ["bad-argument", "it is a folder"]],
  ["ELOOP", ["bad-argument", "there is a link in the way"]],
  ["ENAMETOOLONG", ["bad-argument", "the name is too long"]],
  ["ENOTEMPTY", ["conflict", "a folder with something in it is in the way"]],
  ["EEXIST", ["conflict", "it is there already"]],
  ["ENOSPC", ["disk-full", "no space is left"]],
  ["EDQUOT", ["disk-full", "no space is left"]],
  ["EMFILE", ["busy", "too many files are open"]],
]);

/** Headers are ASCII. */
function escaped(json: string): string {
  return json.replace(/[^\x20-\x7e]/gu, (sign) =>
    Array.from({ length: sign.length }, (_, at) => `\\u${sign.charCodeAt(at).toString(16).padStart(4, "0")}`).join(""),
  );
}
