/** Numbers and paths as people read them, the same in every command. */

import { cleanText } from "../core/light.ts";

/** `64 GiB`, `1.5 TiB`: powers of two, as memory is sold, rounded for the eye. */
export function formatBytes(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const power = Math.min(units.length - 1, bytes < 1 ? 0 : Math.floor(Math.log2(bytes) / 10));
  const value = bytes / 1024 ** power;
  return `${power === 0 || value >= 10 ? Math.round(value) : value.toFixed(1).replace(/\.0$/, "")} ${units[power]}`;
}

/** `0.31 ms`, `28.2 ms`, `1.2 s`. */
export function formatRtt(ms: number | undefined): string {
  if (ms === undefined) return "";
  if (ms < 1) return `${ms.toFixed(2)} ms`;
  return ms < 1000 ? `${ms.toFixed(1)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

/** `tcp4`, `via garage (relayed)`: what carries a link, and whose help it needs. */
export function formatPath({ path, via }: { readonly path: string; readonly via?: string }): string {
  return via === undefined ? path : `via ${cleanText(via, 64)} (${path})`;
}

/** As the first P2PRC wrote it (Go's time.Duration): `28.172471ms`. */
export function formatSeedLatency(ms: number | undefined): string {
  if (ms === undefined) return "";
  const nanoseconds = Math.round(ms * 1e6);
  if (nanoseconds >= 1e9) return `${nanoseconds / 1e9}s`;
  if (nanoseconds >= 1e6) return `${nanoseconds / 1e6}ms`;
  return nanoseconds >= 1e3 ? `${nanoseconds / 1e3}µs` : `${nanoseconds}ns`;
}

/** `41.2 MB/s`: powers of ten, as line speeds are sold. */
export function formatRate(bytesPerSecond: number | undefined): string {
  if (bytesPerSecond === undefined) return "";
  return `${formatDecimalBytes(bytesPerSecond)}/s`;
}

/** `11.0 MB`. */
export function formatDecimalBytes(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  const power = Math.min(units.length - 1, bytes < 1 ? 0 : Math.floor(Math.log10(bytes) / 3));
  return `${(bytes / 1000 ** power).toFixed(power === 0 ? 0 : 1)} ${units[power]}`;
}

/** `now`, `12 s`, `5 min`, `3 h`, `2 d`: how long ago. */
export function formatAge(sinceMs: number): string {
  const seconds = Math.max(0, sinceMs / 1000);
  if (seconds < 10) return "now";
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 90 * 60) return `${Math.round(seconds / 60)} min`;
  return seconds < 36 * 3600 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86_400)} d`;
}

/** A number of things, in words: `1 node`, `3 nodes`. */
export function plural(count: number, word: string): string {
  return `${count} ${word}${count === 1 ? "" : "s"}`;
}

/** How long something took: `34 ms`, `1.2 s`. */
export function formatTook(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}
