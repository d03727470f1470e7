/**
 * How one speaks to the resident: the process of ours inside each sandbox that starts commands, dials ports and moves
 * files for those outside, with no more rights than the guest has.
 *
 * It answers HTTP/2 on the byte stream that the runtime opens. Each thing asked is one `CONNECT` stream whose `:authority`
 * names it, percent-encoded after the colon:
 *
 *   exec:                 frames both ways (`frames.ts`); the first one from outside is `start`
 *   port:<host>/<port>    bytes; dialled inside, `host` is 127.0.0.1 or ::1
 *   ssh:                  bytes; one `sshd -i`
 *   put:<path>[?…]  get:<path>[?…]   files; the path encoded once more by itself (`files.ts`)
 *
 * A refusal is a status of 400 or more with the JSON of every P2PRC error as the header `p2prc-error`.
 * A `GET /probe` answers what the sandbox looks like from inside (`Probe`); a `PUT /ssh` makes `ssh:` ready (`SshSetup`).
 *
 * This file and those beside it run inside, with nothing but Node around them: they import node: and each other only.
 */

export const kinds = ["exec", "port", "ssh", "put", "get"] as const;
export type ResidentKind = (typeof kinds)[number];

export const ERROR_HEADER = "p2prc-error";

/** The content of the first frame of an exec. */
export interface ExecStart {
  /** Empty: the login shell of the user. */
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Undefined: the home of the user. */
  readonly cwd?: string;
  /** A name or number known inside. Undefined: the sandbox's own (root in `dev`). */
  readonly user?: string;
  /** With a pseudo-terminal of this size; stdout and stderr are then one. */
  readonly terminal?: { readonly columns: number; readonly rows: number; readonly type: string };
}

/** The content of the last frame of an exec. */
export type ExecEnd =
  | { readonly kind: "exited"; readonly code: number }
  | { readonly kind: "signalled"; readonly signal: string }
  /** It was never started: `no such file`, `permission denied`. Shells say 127 and 126. */
  | { readonly kind: "refused"; readonly code: 126 | 127; readonly reason: string };

export interface Probe {
  readonly uid: number;
  /** The lines of /proc/self/status that matter, as they stand there. */
  readonly capEff: string;
  readonly capBnd: string;
  readonly seccomp: string;
  readonly noNewPrivs: string;
  readonly uidMap: string;
  /** For each address asked (`GET /probe?dial=host:port&dial=…`): how an attempt to connect from inside ended. */
  readonly dials: Readonly<Record<string, "connected" | "refused" | "unreachable" | "silent">>;
}

/** The body of `PUT /ssh`, once before the first `ssh:` and again after a change. Answered with `SshReady`. */
export interface SshSetup {
  /** 32 bytes in base64, from which the host key is made: kept by the owner's node, so that the key outlives a restart. */
  readonly hostSeed: string;
  /** Lines of OpenSSH public key files, Ed25519 only. */
  readonly authorizedKeys: readonly string[];
}

export interface SshReady {
  /** As in known_hosts: `ssh-ed25519 AAAA…`. */
  readonly hostKey: string;
  /** Who one logs in as. */
  readonly user: string;
}
