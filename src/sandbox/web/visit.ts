/**
 * Who may see a private URL: `http://box.p2prc.localhost:8087/`, or `http://3000.box.p2prc.localhost:8087/` for another port.
 *
 * A browser sends requests to loopback for whoever's page it shows, and names of ours may be bound to other addresses (DNS
 * rebinding). So the Host must be exactly one of ours, the first visit must bring the token that `p2prc port` printed, and from then on
 * a cookie of this host alone; what another site makes the browser send is refused, that of another sandbox too.
 */

import { createHmac, timingSafeEqual } from "node:crypto";

export const WEB_SUFFIX = "p2prc.localhost";
export const TOKEN_PARAMETER = "p2prc-token";
export const TOKEN_COOKIE = "p2prc-token";

export interface Visited {
  /** What the host names: a box, and one of its ports where it does. */
  readonly box: string;
  readonly port: number | undefined;
}

export type Visit =
  | ({ readonly kind: "admitted" } & Visited)
  /** The token came in the URL: it becomes a cookie, and the browser goes on to the same place without it. */
  | { readonly kind: "welcome"; readonly cookie: string; readonly to: string }
  | { readonly kind: "refused"; readonly status: 403 | 421; readonly why: string };

export interface Knock {
  readonly method: string;
  /** With the query, as it was asked for. */
  readonly url: string;
  /** A WebSocket, or another upgrade. */
  readonly upgrade: boolean;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
}

export interface Keys {
  /** 32 bytes that only this person's daemon knows. */
  readonly secret: Uint8Array;
  /** Of the listener. */
  readonly port: number;
}

const HOST = /^(?:([1-9]\d{0,4})\.)?([a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?)\.p2prc\.localhost:(\d{1,5})$/;

/** The place as a person opens it first. */
export function privateUrl({ box, port }: Visited, keys: Keys): string {
  const host = hostOf({ box, port }, keys.port);
  return `http://${host}/?${TOKEN_PARAMETER}=${tokenOf(host, keys.secret)}`;
}

export function judge(knock: Knock, keys: Keys): Visit {
  const host = one(knock.headers["host"])?.toLowerCase() ?? "";
  const [, port, box, listener] = HOST.exec(host) ?? [];
  if (box === undefined || Number(listener) !== keys.port) return misdirected();
  const token = tokenOf(host, keys.secret);
  const given = tokenIn(knock.url);
  if (given !== undefined && same(given.token, token) && isPlainVisit(knock)) {
    return { kind: "welcome", cookie: `${TOKEN_COOKIE}=${token}; Path=/; HttpOnly; SameSite=Strict`, to: given.rest };
  }
  if (!isOfThisSite(knock, host)) return refused("another site asked for this");
  if (!cookiesIn(knock).some((cookie) => same(cookie, `${TOKEN_COOKIE}=${token}`))) {
    return refused("this browser has not been let in yet");
  }
  return { kind: "admitted", box, port: port === undefined ? undefined : Number(port) };
}

/** The sandbox is a stranger's program: it is not told the token. Undefined: nothing is left. */
export function cookiesWithoutOurs(header: string | undefined): string | undefined {
  const kept = (header ?? "").split(/;\s*/).filter((cookie) => cookie !== "" && !cookie.startsWith(`${TOKEN_COOKIE}=`));
  return kept.length === 0 ? undefined : kept.join("; ");
}

/** What a sandbox may set is for its own host: not our cookie, and not for all sandboxes at once. */
export function cookiesToSet(headers: readonly string[]): readonly string[] {
  return headers
    .filter((cookie) => !cookie.trimStart().startsWith(`${TOKEN_COOKIE}=`))
    .map((cookie) => cookie.replace(/;\s*domain=[^;]*/gi, ""));
}

function hostOf({ box, port }: Visited, listener: number): string {
  return `${port === undefined ? "" : `${port}.`}${box}.${WEB_SUFFIX}:${listener}`;
}

/** The same for ever, so that a bookmark with it stays good; another for each host. */
function tokenOf(host: string, secret: Uint8Array): string {
  const [name = host] = host.split(":");
  return createHmac("sha256", secret).update(`p2prc private url v1 ${name}`).digest("base64url").slice(0, 32);
}

function tokenIn(url: string): { readonly token: string; readonly rest: string } | undefined {
  const question = url.indexOf("?");
  if (question < 0 || !url.startsWith("/")) return undefined;
  const parts = url.slice(question + 1).split("&");
  const at = parts.findIndex((part) => part.startsWith(`${TOKEN_PARAMETER}=`));
  if (at < 0) return undefined;
  const token = (parts[at] ?? "").slice(TOKEN_PARAMETER.length + 1);
  const rest = parts.toSpliced(at, 1).join("&");
  return { token, rest: `${url.slice(0, question)}${rest === "" ? "" : `?${rest}`}` };
}

/** Only a page that is opened: nothing is done by it. */
function isPlainVisit({ method, upgrade }: Knock): boolean {
  return (method === "GET" || method === "HEAD") && !upgrade;
}

/**
 * Fetch metadata where the browser sends it, and the Origin where there is one. All sandboxes are the same *site* to a browser,
 * so only the same origin counts. What sends neither is no browser, and has the cookie or not.
 */
function isOfThisSite({ headers }: Knock, host: string): boolean {
  const site = one(headers["sec-fetch-site"]);
  if (site !== undefined && site !== "same-origin" && site !== "none") return false;
  const origin = one(headers["origin"]);
  return origin === undefined || origin === `http://${host}`;
}

function cookiesIn({ headers }: Knock): readonly string[] {
  return (one(headers["cookie"]) ?? "").split(/;\s*/);
}

function one(header: string | readonly string[] | undefined): string | undefined {
  return typeof header === "string" ? header : header?.[0];
}

function same(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}

function misdirected(): Visit {
  return { kind: "refused", status: 421, why: `this is not a host of ${WEB_SUFFIX}` };
}

function refused(why: string): Visit {
  return { kind: "refused", status: 403, why };
}
