/** An address as a person types it: `host`, `host:8088`, `192.0.2.7`, `2001:db8::7`, `[2001:db8::7]:8088`. */

import { isIP, isIPv6 } from "node:net";
import { DEFAULT_PORT, type Endpoint } from "./endpoint.ts";
import { Failure } from "./errors.ts";
import { cleanText } from "./text.ts";

/** RFC 1123: labels of letters, digits and inner dashes. */
const HOST_NAME = /^(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*\.?$/i;

/** @throws {Failure} bad-address */
export function parseEndpoint(text: string): Endpoint {
  const { host, port } = split(text.trim());
  const number = port === undefined ? DEFAULT_PORT : Number(port);
  const soundPort = port === undefined || (/^\d{1,5}$/.test(port) && number >= 1 && number <= 65_535);
  if (soundPort && isHost(host)) return { host: host.toLowerCase(), port: number };
  throw new Failure("bad-address", `not an address: "${cleanText(text, 80)}"`, {
    hint: "write it as `host.example:8088`, `192.0.2.7` or `[2001:db8::7]:8088`",
  });
}

function split(text: string): { readonly host: string; readonly port?: string } {
  if (isIPv6(text)) return { host: text };
  const bracketed = /^\[([^\]]+)\](?::(.*))?$/.exec(text);
  if (bracketed !== null) {
    const host = isIPv6(bracketed[1] ?? "") ? (bracketed[1] ?? "") : "";
    return bracketed[2] === undefined ? { host } : { host, port: bracketed[2] };
  }
  const colon = text.indexOf(":");
  return colon === -1 ? { host: text } : { host: text.slice(0, colon), port: text.slice(colon + 1) };
}

/** Digits and dots that are no address are a mistyped one, not a name. */
function isHost(text: string): boolean {
  return isIP(text) !== 0 || (HOST_NAME.test(text) && !/^[\d.]+$/.test(text));
}
