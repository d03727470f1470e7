/** sandbox: one isolated environment on a node: runtimes that make them, leases to them, and what a person holds elsewhere. */
export * from "./contract.ts";
export type { BoxRow } from "./box/box-book.ts";
export { Boxes, type BoxChange, type BoxDoors, type BoxesDeps } from "./box/boxes.ts";
export { serveBoxes } from "./box/serve.ts";
export { boxTunnels } from "./box/tunnels.ts";
export { serveBoxPorts } from "./box/serve-ports.ts";
export { WaysIn } from "./box/ways-in.ts";
export { lookAround } from "./doctor/look.ts";
export { serveDoctor } from "./doctor/serve.ts";
export { Doors, SSH } from "./port/doors.ts";
export { openClientKey } from "./ssh/client-key.ts";
export { SshFiles } from "./ssh/ssh-files.ts";
export { PrivateUrls } from "./web/private-urls.ts";
export type { Visited } from "./web/visit.ts";
