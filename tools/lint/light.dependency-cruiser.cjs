/**
 * What the command line loads before it does anything, as Node sees it: without types, and without
 * what import() fetches later. `p2prc ls` has 120 ms in all; each of these libraries takes that alone.
 */

const { options } = require("../../.dependency-cruiser.cjs");

const heavy = [
  "fastify",
  "@fastify/",
  "typebox",
  "@peculiar/x509",
  "hyperdht",
  "dockerode",
  "ssh2",
  "pino",
  "prom-client",
  "systeminformation",
  "multicast-dns",
];

module.exports = {
  forbidden: [
    {
      name: "the-command-line-is-light",
      comment:
        "Reached from src/cli/bin.ts by imports that Node really follows. Use `import type`, or import() in the one command that needs it.",
      severity: "error",
      from: { path: "^src/cli/bin\\.ts$" },
      to: { path: `(?:^|/)node_modules/(?:${heavy.join("|")})`, reachable: true },
    },
  ],
  options: { ...options, tsPreCompilationDeps: false, exclude: { ...options.exclude, dynamic: true } },
};
