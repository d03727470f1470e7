/**
 * The little of HTTP, XML and SOAP that routers speak (UPnP Device Architecture 1.1, sections 2 and 3).
 *
 * What a router sends is a stranger's: bounded in size and time, never followed to anywhere but the router itself, and
 * read by looking for the few elements that are needed.
 */

import { request } from "node:http";
import { type Clock, within } from "../../base/index.ts";
import { cleanText, Failure } from "../../core/index.ts";

export interface ControlOptions {
  /** The address of this machine on the router's network. */
  readonly own: string;
  readonly clock: Clock;
}

/** One thing that a router can do. */
export interface Service {
  readonly type: string;
  readonly control: URL;
}

/** What a router answers with an error: 402, 718, 725, … */
export class UpnpError extends Error {
  readonly code: number;

  constructor(code: number, words: string) {
    super(`UPnP error ${code}${words === "" ? "" : `: ${words}`}`);
    this.code = code;
  }
}

const MAX_BYTES = 262_144;
/** A router has about ten. */
const MAX_SERVICES = 64;
/** Home routers are slow, and on the LAN. */
const TIMEOUT_MS = 3_000;

/** @throws {Failure} unreachable, bad-reply */
export async function readServices(
  place: URL,
  options: ControlOptions,
  signal: AbortSignal,
): Promise<readonly Service[]> {
  const { status, text } = await exchange({ place, method: "GET", headers: {}, body: "" }, options, signal);
  if (status !== 200) throw new Failure("bad-reply", `the router answers with status ${status}`);
  return servicesIn(text).flatMap((inner): Service[] => {
    const [type, path] = [element(inner, "serviceType"), element(inner, "controlURL")];
    if (type === undefined || path === undefined || !URL.canParse(path, place.href)) return [];
    const control = new URL(path, place);
    return control.host === place.host && control.protocol === "http:" ? [{ type, control }] : [];
  });
}

/** What each of the first services says: nothing here looks twice at the same text, since a liar may send much of it. */
function servicesIn(xml: string): string[] {
  const blocks = xml.split(/<service>/i, MAX_SERVICES + 1).slice(1);
  return blocks.flatMap((block) => {
    const end = block.search(/<\/service>/i);
    return end < 0 ? [] : [block.slice(0, end)];
  });
}

export interface Call {
  readonly action: string;
  /** In the order that the standard gives: routers read them by it. */
  readonly words: readonly (readonly [name: string, value: string | number])[];
}

/** @returns the answer, to be read with `element` @throws {UpnpError} @throws {Failure} unreachable, bad-reply */
export async function call(
  { type, control, action, words }: Service & Call,
  options: ControlOptions,
  signal: AbortSignal,
): Promise<string> {
  const inner = words.map(([name, value]) => `<${name}>${escaped(String(value))}</${name}>`).join("");
  const body = `<?xml version="1.0"?>\r\n<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" s:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"><s:Body><u:${action} xmlns:u="${type}">${inner}</u:${action}></s:Body></s:Envelope>`;
  const headers = { "content-type": 'text/xml; charset="utf-8"', soapaction: `"${type}#${action}"` };
  const { status, text } = await exchange({ place: control, method: "POST", headers, body }, options, signal);
  if (status === 200) return text;
  const code = Number(element(text, "errorCode"));
  if (!Number.isInteger(code)) throw new Failure("bad-reply", `the router answers with status ${status}`);
  throw new UpnpError(code, cleanText(element(text, "errorDescription") ?? "", 80));
}

/** The text of the first element of that name, whatever its prefix. No part of the pattern reads past the next `<`. */
export function element(xml: string, name: string): string | undefined {
  return new RegExp(`<(?:[\\w.-]+:)?${name}(?:\\s[^<>]*)?>([^<]*)<`, "i").exec(xml)?.[1]?.trim();
}

function escaped(text: string): string {
  return text.replace(/[<>&]/g, (sign) => `&#${sign.charCodeAt(0)};`);
}

interface Message {
  readonly place: URL;
  readonly method: "GET" | "POST";
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

function exchange(
  message: Message,
  { own, clock }: ControlOptions,
  signal: AbortSignal,
): Promise<{ readonly status: number; readonly text: string }> {
  const late = () => new Failure("unreachable", "the router does not answer");
  return within({ clock, timeoutMs: TIMEOUT_MS, late }, (attempt) => send(message, own, attempt), signal);
}

function send(
  { place, method, headers, body }: Message,
  own: string,
  signal: AbortSignal,
): Promise<{ readonly status: number; readonly text: string }> {
  return new Promise((resolve, reject) => {
    const fail = (cause: Error) =>
      reject(signal.aborted ? (signal.reason as Error) : new Failure("unreachable", "the router hangs up", { cause }));
    const length = { "content-length": String(Buffer.byteLength(body)), connection: "close" };
    const asking = request(
      place,
      { method, headers: { ...headers, ...length }, localAddress: own, agent: false, signal },
      (reply) => {
        const chunks: Buffer[] = [];
        let size = 0;
        reply.on("data", (chunk: Buffer) => {
          size += chunk.length;
          if (size > MAX_BYTES) asking.destroy(new Error("over its size"));
          else chunks.push(chunk);
        });
        reply.on("error", fail);
        reply.on("end", () => resolve({ status: reply.statusCode ?? 0, text: Buffer.concat(chunks).toString("utf8") }));
      },
    );
    asking.on("error", fail);
    asking.end(body);
  });
}
