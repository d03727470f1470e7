/**
 * Asks one router whether it can be controlled by UPnP, and where its description is (UPnP Device Architecture 1.1, 1.3).
 *
 * The question goes to the multicast group of the one network that the router is on, and never past it. Only the router's
 * own answer counts, and only a place on the router itself: whatever else answers could point anywhere.
 */

import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { isIPv6 } from "node:net";
import { type Clock, isAbort, Scope } from "../../base/index.ts";
import { canonicalAddress, Failure } from "../../core/index.ts";

const PORT = 1900;
const GROUP_4 = "239.255.255.250";
/** The link's own. */
const GROUP_6 = "ff02::c";
/** What routers of both versions answer to. The second knows the first one's name as well, the first not the second's. */
const TARGETS = [
  "urn:schemas-upnp-org:device:InternetGatewayDevice:1",
  "urn:schemas-upnp-org:device:InternetGatewayDevice:2",
];
/** Some routers lose the first packet while their own neighbour table is empty. */
const SEARCHES = 3;
const EVERY_MS = 400;
/** Seconds that an answer may be delayed: the least there is. */
const MX = 1;
const MAX_BYTES = 2_048;

export interface SsdpOptions {
  /** With its zone, where it is link-local. */
  readonly gateway: string;
  readonly own: string;
  readonly clock: Clock;
}

/** @returns where the description is @throws {Failure} unreachable: no router that speaks UPnP */
export async function findDescription({ gateway, own, clock }: SsdpOptions, signal: AbortSignal): Promise<URL> {
  await using scope = new Scope(signal);
  const { promise, resolve, reject } = Promise.withResolvers<URL>();
  const silent = () => reject(new Failure("unreachable", "the router does not speak UPnP"));
  const socket = createSocket(isIPv6(own) ? "udp6" : "udp4");
  scope.defer(() => void socket.close());
  socket.on("error", silent); // no route, or no such address any more
  socket.on("message", (packet, from) => {
    const place = packet.length > MAX_BYTES ? undefined : locationIn(packet.toString("latin1"));
    if (place !== undefined && isOn(gateway, from.address) && isOn(gateway, hostOf(place))) resolve(place);
  });
  scope.signal.addEventListener("abort", () => reject(scope.signal.reason as Error), { once: true });
  scope.spawn(async (running) => {
    for (let n = 0; n < SEARCHES && (await searched(socket, { gateway, own }, running)); n++)
      await clock.sleep(EVERY_MS, running);
    await clock.sleep(MX * 1_000, running);
    silent();
  });
  return await promise;
}

/** @returns whether it could be sent: an address may be gone, and its interface */
async function searched(
  socket: Socket,
  where: { readonly gateway: string; readonly own: string },
  signal: AbortSignal,
): Promise<boolean> {
  try {
    await bound(socket, where.own, signal);
    search(socket, where);
    return true;
  } catch (error) {
    if (isAbort(error, signal) || !(error instanceof Error && "code" in error)) throw error;
    return false;
  }
}

async function bound(socket: Socket, own: string, signal: AbortSignal): Promise<void> {
  if (isBound(socket)) return;
  const listening = once(socket, "listening", { signal });
  socket.bind(0, own);
  await listening;
}

function isBound(socket: Socket): boolean {
  try {
    return socket.address().port > 0;
  } catch {
    return false; // so Node says it
  }
}

function search(socket: Socket, { gateway, own }: { readonly gateway: string; readonly own: string }): void {
  const six = isIPv6(own);
  const group = six ? GROUP_6 : GROUP_4;
  const [, zone] = gateway.split("%");
  if (six && zone !== undefined) socket.setMulticastInterface(`::%${zone}`);
  if (!six) socket.setMulticastInterface(own);
  socket.setMulticastTTL(1); // the router is on this very network
  for (const host of [group, gateway]) {
    for (const target of TARGETS) {
      const head = `HOST: ${six ? `[${group}]` : group}:${PORT}\r\nMAN: "ssdp:discover"\r\nMX: ${MX}\r\nST: ${target}`;
      socket.send(`M-SEARCH * HTTP/1.1\r\n${head}\r\n\r\n`, PORT, host, () => {});
    }
  }
}

function locationIn(answer: string): URL | undefined {
  if (!answer.startsWith("HTTP/1.1 200") || !/^st:.*InternetGatewayDevice:/im.test(answer)) return undefined;
  const [, text = ""] = /^location:\s*(\S+)/im.exec(answer) ?? [];
  return URL.canParse(text) ? new URL(text) : undefined;
}

export function hostOf({ hostname }: URL): string {
  return hostname.replace(/^\[|\]$/g, "");
}

/** A router answers over IPv6 from any of its addresses on the link: from the one that routes lead to, or one beside it. */
function isOn(gateway: string, address: string): boolean {
  const [plain = "", other = ""] = [gateway, address].map((each) => canonicalAddress(each.split("%")[0] ?? ""));
  return plain === other;
}
