/** access: who may do what on this node: invites, grants, roles, and the one place that admits. */
export * from "./contract.ts";
