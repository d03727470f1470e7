/** measure: how far away a node is, how fast, and what this machine has to offer. */
export * from "./contract.ts";
export { findSystemGpus } from "./system-gpus.ts";
export { type Measurable, MeasureRounds, type MeasureRoundsDeps } from "./rounds.ts";
export { measureRoundTrip, type RoundTrip, type RoundTripOptions } from "./round-trip.ts";
export { type MeasureDeps, serveMeasure } from "./serve.ts";
export { SpecSheet, type SpecSheetDeps } from "./spec-sheet.ts";
export { type SpeedNote, SpeedTests, type SpeedTestsDeps } from "./speed-tests.ts";
export { toolRunner } from "./tool.ts";
