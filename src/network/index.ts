/** network: from a NodeId to a Link: identity, carriers, dialling. */
export { ask, ErrorReply, failureFrom, type Question, readText } from "./ask.ts";
export { type Dialable, type Link, type LinkReply, type LinkRequest, type Path, type PathKind, pathKinds, type Reach } from "./link.ts";
