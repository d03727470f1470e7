/**
 * An invite as a link: `p2prc://<node id>/<token>?a=<addresses>&v=<via ids>&r=<their addresses>`.
 *
 * It says where to redeem it and proves nothing else: what it grants stays with the issuer. The token
 * part is 128 secret bits and 16 that check the rest of the link, so that one cut off or mistyped is
 * told from one that is refused. Everything is lower case, and short enough for a small QR code.
 */

import { createHash, timingSafeEqual } from "node:crypto";
import { isIP, isIPv6 } from "node:net";
import z32 from "z32";
import { DEFAULT_PORT, type Endpoint } from "./endpoint.ts";
import { Failure } from "./errors.ts";
import { isNodeId, type NodeId } from "./node-id.ts";
import { cleanText } from "./text.ts";

export interface Invite {
  readonly issuer: NodeId;
  /** 26 characters of z-base-32. */
  readonly token: string;
  /** Literal IP addresses, LAN ones too. */
  readonly endpoints: readonly Endpoint[];
  /** Nodes that pass links on to the issuer. */
  readonly via: readonly NodeId[];
  /** Where those can be dialled, in their order, one address each; the last ones may lack one. @default none */
  readonly relays?: readonly Endpoint[];
}

export const TOKEN_BYTES = 16;
const CHECK_BYTES = 2;
const CHECKED_LENGTH = 29;
const MAX_ENDPOINTS = 8;
const MAX_VIA = 3;
/** Eight long addresses and three ids; far below what a QR code holds. */
const MAX_LENGTH = 800;

/** The secret of an invite, as it is written. @param bytes TOKEN_BYTES of them */
export function formatToken(bytes: Uint8Array): string {
  if (bytes.length !== TOKEN_BYTES) throw new RangeError(`a token has ${TOKEN_BYTES} bytes, not ${bytes.length}`);
  return z32.encode(bytes);
}

/** @throws {RangeError} when it holds more than an invite can */
export function formatInvite({ issuer, token, endpoints, via, relays = [] }: Invite): string {
  if (endpoints.length > MAX_ENDPOINTS || via.length > MAX_VIA || relays.length > via.length)
    throw new RangeError("too many addresses for an invite");
  const query = [
    ...(endpoints.length === 0 ? [] : [`a=${endpoints.map(formatAddress).join(",")}`]),
    ...(via.length === 0 ? [] : [`v=${via.join(",")}`]),
    ...(relays.length === 0 ? [] : [`r=${relays.map(formatAddress).join(",")}`]),
  ].join("&");
  return formatLink({ issuer, token }, query);
}

/** A link with any query, and the check that fits it. */
export function formatLink({ issuer, token }: Pick<Invite, "issuer" | "token">, query: string): string {
  const secret = z32.decode(token).subarray(0, TOKEN_BYTES);
  const checked = z32.encode(Buffer.concat([secret, check(issuer, secret, query)]));
  return `p2prc://${issuer}/${checked}${query === "" ? "" : `?${query}`}`;
}

/**
 * Reads a link however it was pasted: within quotes, after a command, broken over lines, in capitals.
 * @throws {Failure} bad-invite, saying what is wrong with it
 */
export function parseInvite(text: string): Invite {
  if (text.length > MAX_LENGTH * 4) throw bad("it is far too long");
  if (text.split(/p2prc:\/\//i).length > 2) throw bad("there are two of them");
  try {
    return parseLink(findLink(text));
  } catch (error) {
    // Broken lines belong together, words behind the link do not: the check in the link tells which it is.
    const [first = ""] = /p2prc:\/\/\S+/i.exec(text) ?? [];
    if (first === "" || first === text) throw error;
    return orThrow(error, () => parseLink(findLink(first)));
  }
}

/** What `second` makes, or else the reason why the first try failed. */
function orThrow(reason: unknown, second: () => Invite): Invite {
  try {
    return second();
  } catch (error) {
    throw error instanceof Failure ? reason : error;
  }
}

function parseLink(link: string): Invite {
  const [, id = "", secret, rest = ""] = /^p2prc:\/\/([^/?]*)(?:\/([^/?]*))?(.*)$/.exec(link) ?? [];
  if (!isNodeId(id)) throw bad(`the node id in it is ${lengthOf(id, 52)}`);
  if (secret === undefined || secret === "") throw bad("it ends after the node id");
  if (secret.length !== CHECKED_LENGTH) throw bad(`the secret in it is ${lengthOf(secret, CHECKED_LENGTH)}`);
  if (rest !== "" && !rest.startsWith("?")) throw bad(`it goes on after the secret with "${cleanText(rest, 8)}"`);
  const query = rest.slice(1);
  const token = checkedToken(id, secret, query);
  return { issuer: id, token, ...readQuery(query) };
}

/** The link in the text, in its one spelling. */
function findLink(text: string): string {
  // Neither white space nor invisible characters belong in a link; a mail program or a terminal put them there.
  const joined = text
    .replace(/[\s\p{Cc}\p{Cf}]+/gu, "")
    .replaceAll("&amp;", "&")
    .toLowerCase();
  const start = joined.indexOf("p2prc://");
  if (start < 0) throw bad("it does not hold `p2prc://`");
  const [link = ""] = /^[a-z0-9:/?&=,.[\]%-]+/.exec(joined.slice(start)) ?? [];
  const after = joined.slice(start + link.length);
  if (!/^["'`´‘’“”«»<>()*_~;!\\]*[.,;]?$/.test(after)) throw bad(`"${cleanText(after, 1)}" follows it`);
  const bare = decodePercent(link).replace(/[.,?&]+$/, "");
  if (bare.length > MAX_LENGTH) throw bad("it is too long");
  return bare;
}

/** Some programs write `%5b` for a bracket. */
function decodePercent(link: string): string {
  try {
    return decodeURIComponent(link).toLowerCase();
  } catch (cause) {
    throw bad("a `%` in it stands for nothing", cause);
  }
}

function checkedToken(issuer: NodeId, secret: string, query: string): string {
  const bytes = decode(secret);
  const token = bytes.subarray(0, TOKEN_BYTES);
  if (!timingSafeEqual(check(issuer, token, query), bytes.subarray(TOKEN_BYTES))) {
    throw bad("some of it is missing or was changed");
  }
  return z32.encode(token);
}

/** Each secret has one spelling: the last character's spare bit is zero. */
function decode(secret: string): Uint8Array {
  if (!/^[ybndrfg8ejkmcpqxot1uwisza345h769]*$/.test(secret))
    throw bad("the secret in it holds characters that no secret has");
  const bytes = z32.decode(secret).subarray(0, TOKEN_BYTES + CHECK_BYTES);
  if (z32.encode(bytes) !== secret) throw bad("some of it is missing or was changed");
  return bytes;
}

/** Against accidents, not against people. */
function check(issuer: NodeId, token: Uint8Array, query: string): Uint8Array {
  return createHash("sha256")
    .update("p2prc invite v1\n")
    .update(issuer)
    .update(token)
    .update(query)
    .digest()
    .subarray(0, CHECK_BYTES);
}

function readQuery(query: string): Omit<Invite, "issuer" | "token"> {
  const found: { endpoints: Endpoint[]; via: NodeId[]; relays: Endpoint[] } = { endpoints: [], via: [], relays: [] };
  for (const part of query === "" ? [] : query.split("&")) {
    const items = part.slice(2).split(",");
    if (part.startsWith("a=")) found.endpoints.push(...items.map(parseAddress));
    else if (part.startsWith("v=")) found.via.push(...items.map(parseVia));
    else if (part.startsWith("r=")) found.relays.push(...items.map(parseAddress));
    // Other parts are from a newer version, which says with them what an older one can do without.
  }
  const { endpoints, via, relays } = found;
  if (endpoints.length > MAX_ENDPOINTS || via.length > MAX_VIA || relays.length > via.length)
    throw bad("it holds too many addresses");
  return { endpoints, via, ...(relays.length === 0 ? {} : { relays }) };
}

/** The usual port is left out; IPv6 needs brackets only where a port follows. */
function formatAddress({ host, port }: Endpoint): string {
  if (isIP(host) === 0 || host.includes("%")) throw new RangeError(`not an address for an invite: "${host}"`);
  const address = host.toLowerCase();
  if (port === DEFAULT_PORT) return address;
  return isIPv6(address) ? `[${address}]:${port}` : `${address}:${port}`;
}

function parseAddress(text: string): Endpoint {
  if (isIPv6(text) && !text.includes("%")) return { host: text, port: DEFAULT_PORT };
  const [, inner, outer = "", digits] = /^(?:\[([0-9a-f:.]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/.exec(text) ?? [];
  const [host, port] = [inner ?? outer, digits === undefined ? DEFAULT_PORT : Number(digits)];
  if (isIP(host) !== (inner === undefined ? 4 : 6)) throw bad(`"${cleanText(text, 60)}" in it is not an IP address`);
  if (port < 1 || port > 65_535) throw bad(`"${cleanText(text, 60)}" in it has no port from 1 to 65535`);
  return { host, port };
}

function parseVia(text: string): NodeId {
  if (isNodeId(text)) return text;
  throw bad(`"${cleanText(text, 60)}" in it is not a node id`);
}

function lengthOf(part: string, length: number): string {
  if (part.length < length) return `cut off (${part.length} of ${length} characters)`;
  return part.length > length ? `too long (${part.length} characters, not ${length})` : "mistyped";
}

/** Nothing of a link is quoted whole: it is a secret. */
function bad(why: string, cause?: unknown): Failure {
  return new Failure("bad-invite", `this is not a whole invite: ${why}`, {
    hint: "copy the link once more, from `p2prc://` to its end, within quotes: p2prc join 'p2prc://…'",
    cause,
  });
}
