/**
 * Tidies package-lock.json after `npm install`: run it as `node tools/lock.mjs`.
 *
 * It takes out the address each package came from, so that a lock made behind a mirror works
 * anywhere, and adds the entries of other platforms' binaries that a mirror did not have: `npm ci`
 * refuses a lock that lacks them, even where it would never fetch them.
 */

import { readFileSync, writeFileSync } from "node:fs";

const file = new URL("../package-lock.json", import.meta.url);
const lock = JSON.parse(readFileSync(file, "utf8"));

for (const entry of Object.values(lock.packages)) {
  delete entry.resolved;
  for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
    lock.packages[`node_modules/${name}`] ??= {
      version,
      ...platform(name),
      ...(entry.dev === true ? { dev: true } : {}),
      optional: true,
    };
  }
}

lock.packages = Object.fromEntries(Object.entries(lock.packages).sort(([a], [b]) => (a < b ? -1 : 1)));
writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`);

/** What npm would have read in the package itself: which machine it is for. */
function platform(name) {
  const words = name.split("/").at(-1).split("-");
  const os = words.find((word) => ["android", "darwin", "linux", "win32", "freebsd", "openharmony"].includes(word));
  const cpu = words.find((word) =>
    ["arm64", "x64", "arm", "ia32", "ppc64", "riscv64", "s390x", "wasm32"].includes(word),
  );
  const libc = words.includes("musl") ? "musl" : words.includes("gnu") ? "glibc" : undefined;
  return {
    ...(cpu === undefined ? {} : { cpu: [cpu] }),
    ...(libc === undefined ? {} : { libc: [libc] }),
    os: [os ?? "none"],
  };
}
