/** sandbox: one isolated environment on a node: runtimes that make them, leases to them, and what a person holds elsewhere. */
export * from "./contract.ts";
export type { BoxRow } from "./box/box-book.ts";
export { Boxes, type BoxChange, type BoxDoors, type BoxesDeps } from "./box/boxes.ts";
export { serveBoxes } from "./box/serve.ts";
export { boxTunnels } from "./box/tunnels.ts";
