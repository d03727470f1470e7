/**
 * Which images the owner allows: globs over references, as in `debian:*`.
 *
 * `*` stands for anything but a slash, so that `debian:*` does not let `debian:5000/evil` in; `**` for anything. A reference
 * is first spelled out: no tag is `latest`, and Docker's own registry goes by its short names.
 */

const HUB = /^(?:index\.)?docker\.io\/(?:library\/)?/;

export function isImageAllowed(image: string, patterns: readonly string[]): boolean {
  const wanted = spelledOut(image);
  return patterns.some((pattern) => pattern === "*" || matches(wanted, spelledOut(pattern)));
}

/** With its tag, and without the name of the registry that goes without saying. */
export function spelledOut(reference: string): string {
  const short = reference.replace(HUB, "");
  const last = short.slice(short.lastIndexOf("/") + 1);
  return last.includes(":") || last.includes("@") || last.endsWith("**") ? short : `${short}:latest`;
}

/** Without a regular expression: patterns of many stars must not cost the daemon its time. */
function matches(text: string, pattern: string): boolean {
  let reachable = new Set([0]);
  for (const part of pattern.split(/(\*+)/)) {
    const next = new Set<number>();
    for (const at of reachable) {
      if (!part.startsWith("*")) {
        if (text.startsWith(part, at)) next.add(at + part.length);
        continue;
      }
      const slash = text.indexOf("/", at);
      const end = part.length > 1 || slash < 0 ? text.length : slash;
      for (let to = at; to <= end; to++) next.add(to);
    }
    reachable = next;
  }
  return reachable.has(text.length);
}
