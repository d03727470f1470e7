/**
 * The routers that this machine sends everything through that is not for its own networks, and its addresses there.
 * Nothing else is ever asked for ports.
 */

import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { isIP, isIPv6 } from "node:net";
import { networkInterfaces } from "node:os";
import { promisify } from "node:util";
import ipaddr from "ipaddr.js";
import { classifyAddress } from "../../core/index.ts";

export interface Gateway {
  /** Link-local IPv6 ones with their zone: `fe80::1%eth0`. */
  readonly address: string;
  readonly family: 4 | 6;
  /** The addresses of this machine on that network; of IPv6 those that mean something outside. */
  readonly own: readonly string[];
}

/** A default route: where it leads, by which interface where the system says so. */
export interface Route {
  readonly gateway: string;
  readonly device: string | undefined;
}

/** A machine with more is a router itself. */
const MAX_GATEWAYS = 4;
const TOOL_MS = 2_000;

export async function findGateways(signal: AbortSignal, platform = process.platform): Promise<readonly Gateway[]> {
  const routes = platform === "linux" ? await readLinux() : parseNetstat(await netstat(signal));
  return gatewaysOf(routes, networkInterfaces());
}

export function gatewaysOf(
  routes: readonly Route[],
  interfaces: NodeJS.Dict<readonly { readonly address: string; readonly cidr: string | null }[]>,
): readonly Gateway[] {
  const unique = new Map(routes.map((route) => [`${route.gateway}%${route.device}`, route]));
  const found = Array.from(unique.values(), ({ gateway, device }): Gateway => {
    if (!isIPv6(gateway)) return { address: gateway, family: 4, own: onTheSameNetwork(gateway, interfaces) };
    const isLocal = classifyAddress(gateway) === "linklocal";
    const infos = device === undefined ? Object.values(interfaces).flatMap((each) => each ?? []) : interfaces[device];
    const own = (infos ?? []).map(({ address }) => address).filter((each) => isIPv6(each) && isOutside(each));
    return { address: isLocal && device !== undefined ? `${gateway}%${device}` : gateway, family: 6, own };
  });
  return found.filter(({ own }) => own.length > 0).slice(0, MAX_GATEWAYS);
}

function isOutside(address: string): boolean {
  const kind = classifyAddress(address);
  return kind !== "linklocal" && kind !== "loopback" && kind !== "lan";
}

function onTheSameNetwork(
  gateway: string,
  interfaces: NodeJS.Dict<readonly { readonly address: string; readonly cidr: string | null }[]>,
): string[] {
  const address = ipaddr.parse(gateway);
  return Object.values(interfaces)
    .flatMap((infos) => infos ?? [])
    .filter(({ cidr }) => {
      if (cidr === null) return false;
      const [network, bits] = ipaddr.parseCIDR(cidr);
      return network.kind() === address.kind() && address.match(network, bits);
    })
    .map((info) => info.address);
}

async function readLinux(): Promise<readonly Route[]> {
  const [four, six] = await Promise.all(["/proc/net/route", "/proc/net/ipv6_route"].map(readIfThere));
  return [...parseProcRoute(four ?? ""), ...parseProcRoute6(six ?? "")];
}

async function readIfThere(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error) return ""; // a kernel without that family
    throw error;
  }
}

/** RTF_UP and RTF_GATEWAY of route(8). */
const UP_AND_GATEWAY = 0x3;

/** `eth0 00000000 0102A8C0 0003 …`: addresses as the machine keeps them, low byte first. */
export function parseProcRoute(text: string): readonly Route[] {
  return text.split("\n").flatMap((line): Route[] => {
    const [device, destination, gateway = "", flags = ""] = line.trim().split(/\s+/);
    const isDefault = destination === "00000000" && (Number.parseInt(flags, 16) & UP_AND_GATEWAY) === UP_AND_GATEWAY;
    if (!isDefault || !/^[0-9A-F]{8}$/i.test(gateway)) return [];
    return [{ gateway: [...Buffer.from(gateway, "hex")].reverse().join("."), device }];
  });
}

/** `destination length source length gateway metric refcount use flags device`. */
export function parseProcRoute6(text: string): readonly Route[] {
  return text.split("\n").flatMap((line): Route[] => {
    const [destination = "", length, , , gateway = "", , , , flags = "", device] = line.trim().split(/\s+/);
    const isDefault = /^0{32}$/.test(destination) && length === "00";
    const leadsOn = (Number.parseInt(flags, 16) & UP_AND_GATEWAY) === UP_AND_GATEWAY && /^[0-9a-f]{32}$/.test(gateway);
    if (!isDefault || !leadsOn) return [];
    const address = ipaddr.parse((gateway.match(/.{4}/g) ?? []).join(":")).toString();
    return [{ gateway: address, device }];
  });
}

/** macOS writes `default 192.168.1.1 UGScg en0`, Windows `0.0.0.0 0.0.0.0 192.168.1.1 192.168.1.5 25`. */
export function parseNetstat(text: string): readonly Route[] {
  return text.split("\n").flatMap((line): Route[] => {
    const words = line.trim().split(/\s+/);
    const [destination, second = "", third = "", device] = words;
    if (destination === "0.0.0.0" && second === "0.0.0.0")
      return isIP(third) === 4 ? [{ gateway: third, device: undefined }] : [];
    if (destination !== "default") return [];
    const [gateway = "", zone] = second.split("%");
    return isIP(gateway) === 0 ? [] : [{ gateway, device: zone ?? device }];
  });
}

async function netstat(signal: AbortSignal): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)("netstat", ["-rn"], { timeout: TOOL_MS, signal });
    return stdout;
  } catch {
    signal.throwIfAborted();
    return ""; // no such tool: then nobody is asked for ports
  }
}
