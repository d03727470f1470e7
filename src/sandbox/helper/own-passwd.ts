/**
 * A C library that looks for users in `/run/passwd`, and is else the system's: for sshd, which wants a row for whoever it runs
 * as, where an image has none and its system cannot be written to. What sshd starts knows nothing of it.
 */

const SYSTEM = Buffer.from("\0/etc/passwd\0");
/** As long, so that nothing else moves. Of what a sandbox sees, `/run` is the one folder that is memory and its user's in any profile. */
const OWN = Buffer.from("\0/run/passwd\0");

/** Where the path stands: in the C library, and before 2.34 in a part that it opens. */
export const LIBRARIES = ["libc.so.6", "libnss_files.so.2"];
/** In the helper, to be searched before `lib`. */
export const FOLDER = "lib-passwd";

/** Undefined: it does not look for users. */
export function withOwnPasswd(library: Buffer): Buffer | undefined {
  let at = library.indexOf(SYSTEM);
  if (at < 0) return undefined;
  const changed = Buffer.from(library);
  for (; at >= 0; at = changed.indexOf(SYSTEM, at)) OWN.copy(changed, at);
  return changed;
}
