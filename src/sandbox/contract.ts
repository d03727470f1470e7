/**
 * What goes over the wire about sandboxes.
 *
 * A guest asks the owner's node (`/v1/sandboxes…`, admits guests; each sees their own alone: another's is 404). The person
 * asks their own daemon about what they hold elsewhere (`/v1/boxes…`) and about their guests (`/v1/guests…`).
 * Byte streams are CONNECT targets: between nodes `exec:<id>`, `ssh:<id>`, `port:<id>/<port>`, `files:<id>/<put|get>/<path>`;
 * on the local socket the same with `box-` in front and what a person calls the sandbox instead of the id.
 */

export * from "./contract/box.ts";
export * from "./contract/doctor.ts";
export * from "./contract/guest.ts";
export * from "./contract/owner.ts";
