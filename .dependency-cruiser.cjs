/**
 * The floor plan of ARCHITECTURE.md as rules: arrows point down, neighbours on one floor never meet,
 * and one enters another room by its door. Each rule says why it is there.
 */

const rooms = (...names) => `^src/(?:${names.join("|")})/`;

/** A file may be imported only from floors above its own; tests of a room live on its floor. */
const floors = [
  { name: "base", may: [], why: "base knows nothing of this project, so that any of it could leave for a library" },
  { name: "core", may: ["base"], why: "core is words and pure rules: no I/O comes in through an import" },
  { name: "store", may: ["core", "base"], why: "the disk knows neither the network nor what is kept on it" },
  { name: "config", may: ["core", "base"], why: "configuration is read at the edge and handed down as values" },
  { name: "network", may: ["store", "config", "core", "base"], why: "a link does not know what it is used for" },
  ...["table", "measure", "access", "sandbox", "nat", "plugin", "job"].map((name) => ({
    name,
    may: ["network", "store", "config", "core", "base"],
    why: "capabilities never import each other: what needs two of them meets in daemon/ or is a pure rule in core/",
  })),
  {
    name: "daemon",
    may: [
      "table",
      "measure",
      "access",
      "sandbox",
      "nat",
      "plugin",
      "job",
      "network",
      "store",
      "config",
      "core",
      "base",
    ],
    why: "the daemon is driven from the street through its API and never knows who does it",
  },
];

const arrows = floors.map(({ name, may, why }) => ({
  name: `${name}-imports-below-only`,
  comment: `${why}.`,
  severity: "error",
  from: { path: rooms(name) },
  to: { path: "^src/", pathNot: rooms(name, ...may) },
}));

module.exports = {
  forbidden: [
    ...arrows,
    {
      name: "street-takes-types-or-light-doors",
      comment:
        "A command starts within 120 ms: what cli and client load at once comes from base or from a door that is made light (light.ts). The rest is a type, or an import() where it is needed.",
      severity: "error",
      from: { path: rooms("cli", "client", "dashboard"), pathNot: "\\.test\\.ts$" },
      to: {
        path: "^src/",
        pathNot: [rooms("cli", "client", "base"), "/light\\.ts$"],
        dependencyTypesNot: ["type-only"],
        dynamic: false,
      },
    },
    {
      name: "client-serves-the-cli",
      comment: "The client is also the public SDK: it does not know the words of the command line.",
      severity: "error",
      from: { path: rooms("client", "dashboard") },
      to: { path: rooms("cli") },
    },
    {
      name: "doors-only",
      comment: "A room is entered by its index.ts (or its light.ts): what is behind may change without asking anybody.",
      severity: "error",
      from: { path: "^src/([^/]+)/" },
      to: { path: "^src/[^/]+/", pathNot: ["^src/$1/", "^src/[^/]+/(?:index|light)\\.ts$"] },
    },
    {
      name: "own-door-is-for-others",
      comment: "Inside a room one imports the file itself: through the own door everything is a cycle.",
      severity: "error",
      from: { path: "^src/([^/]+)/", pathNot: ["/(?:index|light)\\.ts$", "\\.test\\.ts$"] },
      to: { path: "^src/$1/(?:index|light)\\.ts$" },
    },
    {
      name: "nothing-imports-tests",
      comment: "Tests and their tools never reach the product.",
      severity: "error",
      from: { path: "^src/", pathNot: "\\.test\\.ts$" },
      to: { path: ["^(?:test|bench|tools|examples)/", "\\.test\\.ts$"] },
    },
    {
      name: "no-test-imports-a-test",
      comment: "Its tests would run twice. What two of them need lives in test/support or test/lab.",
      severity: "error",
      from: {},
      to: { path: "\\.test\\.ts$" },
    },
    {
      name: "no-cycles",
      comment: "In a cycle no file can be understood, or loaded, before the others.",
      severity: "error",
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ["type-only"] } },
    },
    {
      name: "no-cycles-between-rooms",
      comment: "Types count here: two rooms that need each other's words are one room.",
      severity: "error",
      from: { path: "^src/([^/]+)/" },
      to: { circular: true, path: "^src/", pathNot: "^src/$1/" },
    },
    {
      name: "everything-resolves",
      comment: "An import that leads nowhere hides what it would have led to.",
      severity: "error",
      from: {},
      to: { couldNotResolve: true },
    },
    {
      name: "no-developer-libraries-in-the-product",
      comment: "They are not there on a machine that only uses P2PRC.",
      severity: "error",
      from: { path: "^src/", pathNot: "\\.test\\.ts$" },
      to: { dependencyTypes: ["npm-dev", "npm-no-pkg", "npm-unknown"], dependencyTypesNot: ["type-only"] },
    },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    exclude: { path: "^(?:dist|node_modules/\\.cache)" },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    enhancedResolveOptions: { exportsFields: ["exports"], conditionNames: ["import", "node", "default", "types"] },
  },
};
