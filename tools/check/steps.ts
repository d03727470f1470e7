/** What `./check` does before the tests, in this order: the quick and telling things first. */

import { arrows } from "./arrows.ts";
import { guestPlatforms } from "./guest-platforms.ts";
import { planted } from "./planted.ts";
import { type Outcome, run } from "./run.ts";
import { system } from "./system.ts";

export interface Step {
  readonly name: string;
  readonly summary: string;
  readonly run: () => Promise<Outcome>;
}

export const steps: readonly Step[] = [
  { name: "system", summary: "what the tests need of the machine is installed, or named", run: system },
  { name: "types", summary: "tsc, strict", run: () => run(["tsc", "-p", "."]) },
  { name: "format", summary: "biome format", run: () => run(["biome", "format", "."]) },
  { name: "lint", summary: "biome lint", run: () => run(["biome", "lint", "--error-on-warnings", "."]) },
  {
    name: "promises",
    summary: "oxlint with types: nothing unawaited, and the limits and bans of the style",
    run: () => run(["oxlint", "--type-aware", "--deny-warnings", "--format=stylish"]),
  },
  { name: "arrows", summary: "dependency-cruiser: floors, doors, cycles, a light command line", run: () => arrows() },
  {
    name: "dead",
    summary: "knip: files, exports and libraries that nobody uses",
    run: () => run(["knip", "--no-progress"]),
  },
  { name: "guests", summary: "what runs on macOS and Windows makes no Linux-only call", run: guestPlatforms },
  { name: "planted", summary: "the tools above find the faults that are planted for them", run: planted },
];
