/** measure: how far away a node is, how fast, and what this machine has to offer. */
export * from "./contract.ts";
